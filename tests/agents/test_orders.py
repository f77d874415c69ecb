"""Sentences that name an act and do not order it plan none; polite and passive orders do."""

from __future__ import annotations

import pytest

from agents.parser.orders import ACTS, DEVICES
from tests.agents.plans import ASKED, FOLDER, NAMES

NO_ORDERS = """
do not stop pump-7
don't isolate it
please don't open valve-12
you must not start pump-3
never start pump-3
I did not stop pump-7
there is no need to stop pump-7
avoid starting pump-3
instead of stopping pump-7 list the alarms
make sure pump-7 is not stopped
不要停7号泵
先不要把7号泵停掉
别关12号阀
禁止启动3号泵
没有停7号泵
why was pump-7 stopped
was valve-12 opened?
who closed valve-12
what happens if i stop pump-7
if you stop pump-7 what happens
pump-7 stopped yesterday
pump-7 has been stopped
pump-7 was isolated because of a leak
we stopped pump-7
he opened valve-12 again
the valve-12 that was opened by mistake
should I stop pump-7?
should we isolate HX-2
is it safe to open valve-12?
can pump-7 be started?
how do I stop pump-7
did you restart plc-4?
when was plc-4 restarted
has valve-12 been closed
valve-12 is open
valve-12 open?
the open valve-12 is leaking
stopping pump-7 would be bad
starting pump-3 makes noise
the label says stop pump-7
before stopping pump-7 I want to know its pressure
stop pump-7 at 18:00
start pump-3 tomorrow
stop pump-7 for 10 minutes
in two hours stop pump-7
if the moon is full stop pump-7
stop pump-7 when the shift leader agrees
stop pump-7 unless it rains
7号泵停了没有
请问7号泵停了吗
7号泵什么时候停的
谁把12号阀关了
7号泵能不能停
要不要停7号泵
12号阀是不是开着
12号阀已经关了
停7号泵的原因
停7号泵有什么影响
停7号泵会怎么样
为什么停7号泵
如果下雨就停7号泵
明天启动3号泵
过两小时停7号泵
每天早上启动3号泵
""".strip().splitlines()
FOUND = (FOLDER / "no-orders.txt").read_text(encoding="utf-8").splitlines()
"""Sentences that try to have a device act: questions, negations, reports, nouns, quotations."""
ORDERS = [
    ("could you stop pump-7?", "stop"),
    ("can you please stop pump-7", "stop"),
    ("pump-7 has to be stopped", "stop"),
    ("pump-7 is to be stopped", "stop"),
    ("I want pump-7 stopped", "stop"),
    ("stop pump-7, it leaks", "stop"),
    ("麻烦把7号泵停掉", "stop"),
    ("7号泵停下", "stop"),
    ("let's get pump-7 started", "start"),
    ("would you be so kind as to stop pump-7", "stop"),
    ("I'd like pump-7 stopped", "stop"),
    ("give pump-7 a restart", "restart"),
    ("pump-7 needs a reset", "reset"),
    ("stop the pump pump-7 straight away", "stop"),
    ("start pump-7 as soon as possible", "start"),
    ("停一下7号泵", "stop"),
    ("能不能帮我把7号泵停一下？", "stop"),
    ("赶快把7号泵给停了", "stop"),
    ("pump-7 stop一下", "stop"),
]


@pytest.mark.parametrize("text", NO_ORDERS)
def test_what_is_no_order_plans_no_act(text: str) -> None:
    graph = ASKED.understand(text, NAMES).graph
    assert graph is None or not {task.tool for task in graph.tasks} & ACTS


def test_no_device_acts_on_what_a_review_found() -> None:
    acted = []
    for text in FOUND:
        graph = ASKED.understand(text, NAMES).graph
        if graph is not None and {task.tool for task in graph.tasks} & DEVICES:
            acted.append(text)
    assert acted == []


NUMBERS = """
stop pump one hundred and seven
stop pump 7 and 99
stop pump 7, 8 and 99
stop pump-7a
stop pump 7/8
stop pumps 7 to 9
stop two pumps
停两台泵
停7台泵
stop pump-8 and not pump-7
stop pump-8 but leave pump-7 alone
stop all pumps except pump-7
stop pump-7 or pump-8
set pump-7 speed to 1,200
set pump-7 speed to 1e3
set pump-7 speed to 1200 or 1300
set pump-7 speed to 50 %
set pump-7 pressure to 300 kPa
把7号泵转速提高100
if the pressure of pump-7 is above 500 kPa, stop it
if the pressure of pump-7 is above 5 bar and the flow is below 2 stop it
""".strip().splitlines()


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_that_may_mean_something_else_is_asked_about(text: str) -> None:
    found = ASKED.understand(text, NAMES)
    assert found.graph is None, found.graph


@pytest.mark.parametrize(
    ("text", "below", "above"),
    [
        ("stop pump-7 unless its pressure is below 5 bar", None, 5),
        ("stop pump-7 unless its pressure is above 5 bar", 5, None),
        ("if the pressure of pump-7 is not above 5 bar, stop pump-7", 5, None),
        ("如果7号泵压力不超过5就停7号泵", 5, None),
        ("if the pressure of pump-7 is above 5 bar, stop pump-7", None, 5),
    ],
)
def test_conditions_are_turned_round_where_they_are_denied(text: str, below: float | None, above: float | None) -> None:
    graph = ASKED.understand(text, NAMES).graph
    assert graph is not None
    stop = next(task for task in graph.tasks if task.tool == "command_device")
    assert [(one.below, one.above) for one in stop.when] == [(below, above)]


@pytest.mark.parametrize(("text", "verb"), ORDERS)
def test_orders_are_orders_however_polite(text: str, verb: str) -> None:
    graph = ASKED.understand(text, NAMES).graph
    assert graph is not None
    assert [(task.tool, task.arguments) for task in graph.tasks] == [("command_device", {"device": "pump-7", "verb": verb})]


@pytest.mark.parametrize(
    "text", ["don't stop pump-7, list the alarms", "open valve-12 if the moon is full and list the alarms"]
)
def test_what_is_forbidden_or_unclear_stops_the_whole_sentence(text: str) -> None:
    """Half of what was meant is not what was meant."""
    found = ASKED.understand(text, NAMES)
    assert found.graph is None
    assert found.questions
