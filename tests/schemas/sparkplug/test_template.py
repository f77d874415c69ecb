"""Templates: definitions say what there is, instances bring values, and members are signals of their own."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from schemas.sparkplug.codec import decode, encode
from schemas.sparkplug.datatype import Datatype
from schemas.sparkplug.model import Held, Metric, Parameter, Payload, SparkplugError, Template
from schemas.sparkplug.values import metric, value_of
from tests.schemas.sparkplug.bench import NODE, PUMP, Bench, Edge, number, values

SIZE = Parameter("size", Datatype.INT32, Held.INT, 2**32 - 4)
DEFINITION = Template("1.0", (metric(Datatype.INT16, 0, name="speed"), number("heat", 0)), (SIZE,), is_definition=True)
INSTANCE = Template(
    "1.0", (metric(Datatype.INT16, -7, name="speed"), number("heat", 60)), (SIZE,), template_ref="Motor", is_definition=False
)


def read(template: Template) -> object:
    return value_of(Datatype.TEMPLATE, Held.TEMPLATE, template)


def defined() -> Metric:
    return metric(Datatype.TEMPLATE, DEFINITION, name="Motor")


def instance(*members: Metric, name: str = "m1") -> Metric:
    return metric(Datatype.TEMPLATE, Template(None, members, template_ref="Motor", is_definition=False), name=name)


def refused(template: Template) -> str:
    with pytest.raises(SparkplugError) as caught:
        read(template)
    return str(caught.value)


CONTRADICTIONS = {
    "tck-id-payloads-template-is-definition": (Template(template_ref="Motor"), "does not say whether"),
    "tck-id-payloads-template-definition-ref": (Template(is_definition=True, template_ref="Motor"), "must not refer"),
    "tck-id-payloads-template-ref-definition": (Template("2", is_definition=True, template_ref=""), "must not refer"),
    "tck-id-payloads-template-instance-ref": (Template(is_definition=False), "an instance must"),
    "tck-id-payloads-template-ref-instance": (Template("1", INSTANCE.metrics, is_definition=False), "an instance must"),
    "tck-id-payloads-template-parameter-name-required": (
        Template(is_definition=True, parameters=(Parameter(None, 3, Held.INT, 1),)),
        "without a name",
    ),
    "tck-id-payloads-template-parameter-type-value": (
        Template(is_definition=True, parameters=(Parameter("p", 99, Held.INT, 1),)),
        "unknown data type 99",
    ),
    "tck-id-payloads-template-parameter-value-type": (
        Template(is_definition=True, parameters=(Parameter("p", Datatype.DATASET),)),
        "not of a basic data type",
    ),
    "tck-id-payloads-template-parameter-value": (
        Template(is_definition=True, parameters=(Parameter("p", Datatype.BOOLEAN, Held.INT, 1),)),
        "does not go with",
    ),
    "tck-id-payloads-template-parameter-type-req": (
        Template(is_definition=True, parameters=(Parameter("p", None, Held.INT, 1),)),
        "no data type",
    ),
}


@pytest.mark.parametrize("tck_id", CONTRADICTIONS)
def test_a_template_that_contradicts_itself_is_refused_and_costs_nothing_else(tck_id: str) -> None:
    template, words = CONTRADICTIONS[tck_id]
    assert words in refused(template)
    bench = Bench()
    bench.hear(Edge().nbirth(metric(Datatype.TEMPLATE, template, name="bad"), number("t", 1)))
    assert words in bench.refused[0]
    assert bench.value(NODE, "t") == 1


DEFINED: dict[str, Callable[[], bool]] = {
    "tck-id-payloads-template-definition-is-definition": lambda: read(DEFINITION) == DEFINITION,
    "tck-id-payloads-template-is-definition-definition": lambda: values(Bench().hear(Edge().nbirth(defined()))) == [],
    "tck-id-payloads-template-instance-is-definition": lambda: read(INSTANCE) == INSTANCE,
    "tck-id-payloads-template-is-definition-instance": lambda: (
        values(Bench().hear(Edge().nbirth(metric(Datatype.TEMPLATE, INSTANCE, name="m")))) == [{"m/speed": -7, "m/heat": 60}]
    ),
}


@pytest.mark.parametrize("tck_id", DEFINED)
def test_the_flag_decides_whether_there_are_values(tck_id: str) -> None:
    assert DEFINED[tck_id]()


def test_tck_id_payloads_template_version() -> None:
    """A text; another version is no other template to us."""
    raw = encode(Payload(metrics=(metric(Datatype.TEMPLATE, DEFINITION),)))
    assert decode(raw).metrics[0].value.version == "1.0"
    with pytest.raises(SparkplugError, match="not UTF-8"):
        decode(raw.replace(b"1.0", b"\xff.0"))


def test_tck_id_payloads_template_parameter_name_type() -> None:
    raw = encode(Payload(metrics=(metric(Datatype.TEMPLATE, DEFINITION),)))
    assert decode(raw).metrics[0].value.parameters == (SIZE,)
    with pytest.raises(SparkplugError, match="not UTF-8"):
        decode(raw.replace(b"size", b"si\xffe"))


def test_tck_id_payloads_template_definition_nbirth() -> None:
    """The definition in the NBIRTH, the instance in a DBIRTH: values come from the instance alone."""
    bench, edge = Bench(), Edge()
    events = bench.hear(edge.nbirth(defined()), edge.dbirth(instance(*INSTANCE.metrics)))
    assert values(events) == [{"m1/speed": -7, "m1/heat": 60}]
    assert bench.value(PUMP, "m1/speed") == -7


def test_tck_id_topics_nbirth_templates() -> None:
    """Definitions stand beside metrics and disturb none."""
    bench = Bench()
    bench.hear(Edge().nbirth(defined(), number("t", 1), instance(number("heat", 3))))
    assert bench.graph.readings(NODE).keys() == {"t", "m1/heat"}


def test_tck_id_payloads_template_definition_nbirth_only() -> None:
    """In a DATA message it has no values and harms none."""
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(defined(), number("t", 1)))
    assert values(bench.hear(edge.ndata(defined(), number("t", 2)))) == [{"t": 2}]
    assert bench.refused == []


def test_tck_id_payloads_template_definition_members() -> None:
    """Members of a definition are types, not readings."""
    bench = Bench()
    bench.hear(Edge().nbirth(defined()))
    assert not bench.graph.readings(NODE)


def test_tck_id_payloads_template_definition_parameters() -> None:
    assert read(DEFINITION) == DEFINITION
    assert "unknown data type" in refused(Template(is_definition=True, parameters=(SIZE, Parameter("q", 40))))


def test_tck_id_payloads_template_definition_parameters_default() -> None:
    """With a default or without one."""
    assert read(Template(is_definition=True, parameters=(SIZE, Parameter("q", Datatype.INT8))))


def test_tck_id_payloads_template_instance_parameters() -> None:
    assert read(INSTANCE) == INSTANCE
    bare = Template(None, INSTANCE.metrics, template_ref="Motor", is_definition=False)
    assert read(bare) == bare


def test_tck_id_payloads_template_instance_members_birth() -> None:
    """All of them are signals from the birth on, each by its own data type."""
    bench = Bench()
    bench.hear(Edge().nbirth(instance(*INSTANCE.metrics)))
    device = bench.graph.device(NODE)
    assert device is not None
    assert device.signals.keys() == {"m1/speed", "m1/heat"}


def test_tck_id_payloads_template_instance_members_data() -> None:
    """Some of them, without their data types: the birth's are kept for members too."""
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(instance(*INSTANCE.metrics)))
    speed = Metric(name="speed", held=Held.INT, value=65535)
    assert values(bench.hear(edge.ndata(instance(speed)))) == [{"m1/speed": -1}]
    assert bench.value(NODE, "m1/heat") == 60


def test_tck_id_payloads_template_instance_members() -> None:
    """One that the birth did not have is unknown, as any metric, and the others count."""
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(instance(*INSTANCE.metrics)))
    assert values(bench.hear(edge.ndata(instance(number("new", 1), number("heat", 61))))) == [{"m1/heat": 61}]
    assert bench.host.counts.unknown == 1
    assert len(bench.rebirths) == 1


def test_templates_in_templates_and_members_without_names() -> None:
    inner = metric(Datatype.TEMPLATE, Template(None, (number("t", 5),), template_ref="Bearing", is_definition=False), name="b")
    bench = Bench()
    bench.hear(Edge().nbirth(instance(inner, number(None, 1), Metric(name="x", datatype=99))))
    assert bench.value(NODE, "m1/b/t") == 5
    assert bench.refused == ["a member of template 'm1' has no name; metric 'm1/x': unknown data type 99"]


def test_a_member_or_its_instance_may_be_history() -> None:
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(instance(*INSTANCE.metrics)))
    edge.at += 5
    old = number("heat", 1, is_historical=True)
    bench.hear(edge.ndata(instance(old)), edge.ndata(msgspec.structs.replace(instance(number("heat", 2)), is_historical=True)))
    assert bench.host.counts.historical == 2
    assert bench.value(NODE, "m1/heat") == 60


def test_a_member_has_its_own_time_or_its_instances() -> None:
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(instance(*INSTANCE.metrics)))
    late = instance(number("heat", 1, timestamp=edge.at + 5), Metric(name="speed", held=Held.INT, value=1))
    events = bench.hear(edge.ndata(late))
    assert [(event.stamp.at // 1000 - edge.at, *event.body.values) for event in events if hasattr(event.body, "values")] == [
        (0, "m1/speed"),
        (5, "m1/heat"),
    ]
