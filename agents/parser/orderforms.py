"""The forms in which people order, in English and Chinese, and the words that make something else of a clause.

Patterns over clauses in signs (`agents.parser.orders.signs`): a device is ◆, a zone ◇, a signal ○, a value ●, and what
is said of times and conditions is ¤.
"""

from __future__ import annotations

import re

DEVICE, ZONE, SIGNAL, VALUE = "◆", "◇", "○", "●"
THING = (
    rf"(?:{DEVICE}|it|them|they|both|that(?: one| device)?|this(?: one| device)?|(?:the |its |that |"
    rf"this )?(?:origin|source|root cause|culprit)(?: device)?)"
)
LIST = rf"(?:the |both )?(?:{ZONE} )?{THING}(?:(?:[ ,]{{0,3}}(?:and|&) ?| ?, ?)(?:of )?(?:the )?{DEVICE})*+"
_COURTESIES = (
    r"(?:could|would) you be so (?:kind|good) (?:as to|and)",
    r"(?:could|can|would|will) you(?: please| kindly| quickly)?(?: go ahead and)?",
    r"(?:could|can) (?:someone|somebody)",
    r"would you mind",
    r"do (?:me|us) a favou?r and",
    r"(?:we|you) (?:should|must|have to|need to|had better|ought to)",
    r"(?:i|we) (?:want|need|would like)(?: you| us)? to",
    r"(?:i|we)'d like(?: you)? to",
    r"it'?s time to|time to|go ahead and|let'?s(?! get)|let us",
    r"otherwise|if so|if yes|in that case|but first|at once|right away|then please",
    r"good (?:morning|evening|afternoon)|hello|hey|hi|thanks|alright|all right|right|okay|ok|well|yes|urgent",
    r"please|pls|plz|kindly|someone|somebody|team|guys|folks|meanwhile|plus",
    r"so|and|then|now|first|next|also|afterwards|finally|just|do(?! an? )|\w+ly",
)
"""Longer ones first: what was taken is not given back, so that reading takes no longer than the sentence is."""
OPENING = rf"(?:(?:{'|'.join(_COURTESIES)})\b[ ,]{{0,3}})*+"
MUST = r"(?:has to|have to|must|should|needs? to|is to|are to|shall|can|may) (?:now |also |please )*be "
BEFORE = re.compile(
    rf"{OPENING}(?:"
    rf"|{LIST} (?:has to|have to|must|should|shall|(?:can|may)(?= $)) "
    rf"|{LIST}(?: {SIGNAL})? {MUST}(?:\w+ed,? (?:and|then) (?:then )?)*"
    rf"|(?:the )?{SIGNAL} (?:of|on|at|in|for) {LIST} {MUST}"
    rf"|(?:(?:i|we) (?:want|need|would like)|(?:i|we)'d like|let'?s get|get|have) {LIST} (?:to be )?"
    rf"|(?:make sure|ensure|see to it)(?: that)? {LIST} (?:is|are|gets?) "
    rf"|(?:the )?{SIGNAL} (?:of|on|at|for) {LIST} "
    rf"|(?:before|after|once|as soon as|prior to) (?:{LIST} )?(?:is |are )?(?:\w+ed )?"
    rf"|{LIST}(?: {SIGNAL})?,? ?(?:from {VALUE} )?"
    rf")"
)
TAIL = (
    r"(?:$|,|\.|!|(?:\w+ly|and|then|to|at|down|up|back|off|on|now|please|pls|plz|immediately|right|"
    r"asap|again|first|because|as|since|for|so"
    r"|due|from|in|into|too|also|afterwards|go|straight|each|will you|would you|ok|okay)\b)"
)
AFTER = re.compile(
    rf"(?: ?(?:down|up|back|off|on|the|both|all of))*(?:"
    rf" ?(?:{ZONE} )?{LIST}(?:'s)?(?: (?:{SIGNAL}|speed|level|set ?point|opening))*(?: (?:{SIGNAL}|set ?point))* ?{TAIL}"
    rf"| ?(?:{SIGNAL} ?(?:set ?point)? ?(?:of|on|at|for) {LIST}|{SIGNAL}|set ?point|{VALUE}) ?"
    rf"(?:of {LIST}(?: {SIGNAL})? ?)?{TAIL}"
    rf"| ?(?:{SIGNAL} {LIST}|{LIST}(?: {SIGNAL})?) ?[=:]? ?{VALUE} ?{TAIL}"
    rf"| ?{TAIL})"
)
POLITE_ZH = re.compile(r"(?:[你您])?(?:能不能|可不可以|能否|可否|可以|能)(?:麻烦|请)?[你您]?(?=帮[我忙])")
"""`能不能帮我停一下7号泵` asks for it, and not whether it can be done."""
NOUN = re.compile(rf"{OPENING}(?:{LIST} needs? an? |(?:give|do|perform|make) (?:{LIST} )?an? )(?:quick |short |clean |full )?")
"""`plc-1 needs a restart`, `give it a restart`, `do a reset`: what is ordered is a noun."""
AFTER_NOUN = re.compile(
    rf"(?: (?:of|on|for) {LIST})?(?:,? (?:now|please|pls|plz|again|too|immediately|asap|right away|at once))*[ .!]*"
)
PAST = re.compile(r"\w{2}(?<!spe)ed(?: (?:on|off|up|down))?$")
NAMELESS = r"origin|source|root cause|culprit|源头|根源|根因|where (?:it|the)"
DENIED = re.compile(
    r"(?<![a-z])(?:\w*n['’]t|(?:do|did|does|wo|ca)nt|not|no|never|nobody|none|nothing|hardly|without|"
    r"instead|rather|avoid|prevent|forbid\w*"
    r"|refus\w*|reject\w*|withdraw\w*|cancel\w*|why|who|whom|whose|how|whether|what|which|where|"
    r"suppose|imagine|maybe|perhaps|might|ideally"
    r"|example|except|but|other|or|either|until|till|unless|dangerous|impossible|allowed|failed|fails|"
    r"said|says|told|wants|hundred|thousand"
    r"|dozen|half|every|all|any|console|screen|page|tab|window|view|report|list|chart|graph|data|"
    r"logs?|history|situation|state|signal|button"
    r"|keep|leave|hold|ever|times|by)(?![a-z])"
    r"|[\"“”「」『』]|(?<![a-z])'|'(?![a-z])|^\s*>"
    r"|不|没|别|未|勿|莫|甭|拒|反对|取消|撤|暂缓|推迟|放弃|避免|防止|吗|谁|为什么|为啥|为何|怎|如何|是否|能否|可否|假设|模拟|演练|演示|教我|例如|比如|也许|可能|或|除"
    r"|以外|听说|他说|说要|说停|有人|考虑|建议|打算|什么|哪|几|多少|失败|无法|总是|老是|经常|已经?|刚|曾|上次|所有|全部|每|保持|提高|降低(?!到|至)|增加|减少|百|千|万|亿|自动|误"
)
TAKEN_BACK = re.compile(
    r"(?<![a-z])(?:do(?:es)? ?n['’]?t|do not|never ?mind|no wait|wait|kidding|forget it|scratch that|"
    r"cancel that|belay|stop that)(?![a-z])"
    r"|(?<![a-z])(?:approves?|approved|agrees?|permission|for example|e\.g|i\.e|suppose|imagine)(?![a-z])"
    r"|算了|开玩笑|等等|等一?下|先等|慢着|作废|不用了|等.{1,8}(?:再|后)|同意|批准|许可|例如|比如|假设"
)
REPORTED = re.compile(
    r"(?<![a-z])(?:says|said|wrote|writes|claims|claimed) (?:the )?[a-z]+(?: [a-z]+)?[.!]?$"
    r"|, ?(?:the )?[a-z]+(?: [a-z]+)? (?:says|said|wrote|writes|claims|claimed|told (?:me|us))(?![a-z])"
)
"""`stop pump-7, says Bob`"""
TOLD_BEFORE = re.compile(
    r"(?<![a-z])(?:said|says|say|told|tells|log|logs|operator|manual|quote|note|translate|example|"
    r"command|wants?|wrote|writes|reads?|label|sign|subject|from|runbook|step"
    r"|message|asks?|asked)(?![a-z])|说|写|日志|例|命令|翻译|手册|提示|显示"
)
BEFORE_ZH = re.compile(
    rf"(?:(?:请|麻烦|劳驾|烦请)[你您]|[你您](?=[把将帮去])|赶快|抓紧|速|务必|(?:网络|系统|管网|流程|回路)[上中里]|"
    rf"请|麻烦|劳驾|烦请|有劳|帮忙|帮我们?|给我|我们?要|咱们?|安排|去|一起|一并|快点|立马|手动|远程|彻底|完全|暂时|临时|[泵阀罐管机线区]|系统|然后|接着|再|先|马上|"
    rf"立即|立刻|现在|就|并且?|把|将|让|要|需要|得|赶紧|快|都|也|顺手|顺便|同时|另外|那|{DEVICE}|{ZONE}|{SIGNAL}|{VALUE}"
    rf"|、|和|与|及|的|台|它们?|那台|这台|该设备|源头|根源|根因|设备|设定值?|给定|可以|能|该|完|故障|因[^,，◆]{{1,12}}|从|给|\s)*+"
)
AFTER_ZH = re.compile(
    rf"(?:一下|掉|下来?|下|了|吧|起来|出来|来|去|好|上|住|死|回去?|{DEVICE}|{ZONE}|{SIGNAL}|{VALUE}|、|和|与|及|它们?|那台|这台|"
    rf"该设备|源头|根源|根因|设备|的|并|再|先|把|将"
    rf"|到|至|为|成|在|一次|谢谢|辛苦了?|[啊呀哦哈嘛]|即可|就行|投用|运行|使用|完|[!！。.]|\s)*+(?:(?:检修|更换|换|清洗|清理|维修|保养|检查).{{1,12}})?"
)
NOT_OTHER = re.compile(
    r"(?<![a-z])(?:do not|don'?t|never|must ?n[o']t|mustn'?t|should ?n[o']t|no need to|without|"
    r"instead of|rather than|avoid|not(?: to)?)(?: \w+)?\s*$"
    r"|(?:不要|不得|不可以?|不能|不许|不准|不用|不必|无需|切勿|请勿|勿|严禁|禁止|别|没有|没|未|不)(?:再|先|去|把|让|给|急着)?$"
)
ASKED_OTHER = re.compile(
    r"^\W*(?:did|does|do (?:we|you|they)|was|were|has|had|who|when|why|how|should (?:i|we))(?![a-z])"
    r"|吗|是否|谁(?!都)|什么时候|为什么|了没有?"
)
LATER = re.compile(
    r"(?<![a-z])(?:at (?:\d{1,2}(?::\d\d|(?= ?(?:am|pm|o'clock|h\b)))|noon|midnight|dawn|night|(?:one|"
    r"two|three|four|five|six|seven|eight|nine|ten|eleven|twelve) o'clock)"
    r"|in (?:an?|case of(?: an)?) emergency"
    r"|tomorrow|tonight|later(?: on| today)?|next (?:week|month|shift|day|hour|time)|this (?:evening|afternoon|night)"
    r"|on (?:mon|tues|wednes|thurs|fri|satur|sun)day|every (?:day|hour|morning|night|week|\d)|daily|"
    r"hourly|soon(?! as possible)|eventually)(?![a-z])"
    r"|明天|明早|明晚|后天|今晚|晚上|稍后|待会|等会儿?|一会儿|过会|下周|下个?班|每天|每小时|每隔|直到|\d+点(?!\d*[%个])|[一二三四五六七八九十两]+点"
)


PASSIVE = re.compile(rf"{MUST}(?:\w+ed,? (?:and|then) (?:then )?)*$|(?:want|need|like|get|have) {LIST} $|(?:is|are|gets?) $")
BEGINNING = re.compile(
    r"(?:the )?(?:device|place|point|spot|one)?,? ?where "
    r"(?:it|(?:the |this |that )?(?:\w+ )?(?:fault|problem|trouble|disturbance))"
    r"(?: has| had| all)? (?:start(?:ed|s)|beg[aiu]ns?|originate[sd]|c[ao]mes? from)"
)
"""Where a fault began is its origin."""
RESTARTED = re.compile(r"re-?start|re-?boot|reset|stop|start|shutdown")
"""What is said as a noun, too."""
