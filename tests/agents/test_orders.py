"""Sentences that name an act and do not order it plan none; polite and passive orders do."""

from __future__ import annotations

import pytest

from agents.interpreter import Interpreter
from agents.parser.orders import ACTS
from tests.agents.plans import NAMES

ASKED = Interpreter()
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
]


@pytest.mark.parametrize("text", NO_ORDERS)
def test_what_is_no_order_plans_no_act(text: str) -> None:
    graph = ASKED.understand(text, NAMES).graph
    assert graph is None or not {task.tool for task in graph.tasks} & ACTS


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
