"""Ten thousand random requests on random small plants: what a person reads in the demo's policies is what the engine says."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from agents.authorization import Asker, UnfitError
from agents.plantfile import PlantFile
from agents.policy import Approver, Decision, Rates
from agents.policyfolder import PLANT, Policy, sources_of
from agents.rulefile import load
from graph.topology import Topology
from schemas.action import Action, Cause
from schemas.device import DeviceId, Relation
from schemas.event import Body, Connected, Linked, Micros, Severity
from tests.agents.oracle import ROLES, VERBS, Known, Link, Question, expected
from tests.agents.plant import action, event, second

DEPLOYED = Path(__file__).parents[2] / "deploy" / "policy"
COUNT = 10_000
SEVERITIES = (None, *Severity)
NAMES = ("pipe", "valve", "pump", "junction", "tank", "gw", "plc", "hospital", "thing")
ANNOUNCED = {"gw": "gateway", "plc": "controller"}


PLAUSIBLE = (
    *(
        ("runbook", "isolate", "pipe"),
        ("runbook", "close", "valve"),
        ("runbook", "close", "valve"),
        ("runbook", "inspect", "pump"),
        ("runbook", "stop", "pump"),
    ),
    *(
        ("operator", "isolate", "pipe"),
        ("operator", "close", "valve"),
        ("operator", "start", "pump"),
        ("viewer", "stop", "pump"),
    ),
    *(("engineer", "reset", "plc"), ("engineer", "restart", "gw"), ("admin", "set-point", "pump"), ("operator", "notify", "")),
    *(
        ("engineer", "set", "pump"),
        ("operator", "open", "valve"),
        ("engineer", "restart", "plc"),
        ("operator", "reconnect", "pipe"),
    ),
    *(("engineer", "retrain", ""), ("operator", "retrain", ""), ("runbook", "notify", "")),
)
"""Who might well ask for what, of which kind of device: else hardly anything is ever permitted."""


class Told:
    """A `History` that says what it was told to."""

    rates_now = Rates()

    def rates(self, action: Action, since: Micros) -> Rates:
        del action, since
        return self.rates_now


def drawn(dice: random.Random) -> tuple[Question, Topology]:
    names = [f"{dice.choice(NAMES)}-{number}" for number in range(dice.randint(1, 8))]
    devices = {name: Known(_announced(dice, name)) for name in names if dice.random() < 0.9}
    links = tuple(
        Link(dice.choice(names), dice.choice(names), dice.choice(("FEEDS", "FEEDS", "FEEDS", "CONTAINS")), dice.random() < 0.8)
        for _ in range(dice.randint(0, 7))
    )
    links = tuple({(link.source, link.target, link.relation): link for link in links if link.source != link.target}.values())
    named = {end for link in links for end in (link.source, link.target)}
    devices = {name: known for name, known in devices.items() if known.announced is not None or name in named}
    devices |= {name: Known(None) for name in named if name not in devices}
    runbook = dice.random() < 0.4
    question = Question(
        principal=dice.choice(
            ("runbook:a", "runbook:b", "runbook:") if runbook and dice.random() < 0.95 else ("ann", "bob", "")
        ),
        role="runbook" if runbook else dice.choice((*ROLES, "operator", "engineer", "root", "")),
        verb=dice.choice((*sorted(VERBS), "isolate", "close", "stop", "explode")),
        device=None if dice.random() < 0.15 else dice.choice(names),
        severity=dice.choice((0, 1, 2, 3, 4, 4)),
        by_verb=dice.choice((0, 0, 1, 2, 3, 4, 19, 20, 60)),
        by_principal=dice.choice((0, 0, 4, 5, 9, 10, 19, 20, 59, 60)),
        approver=dice.choice(("",) * 9 + (*ROLES, "root")),
        devices=devices,
        links=links,
    )
    if dice.random() < 0.6:
        question = plausible(question, dice)
    return question, topology(question)


def plausible(question: Question, dice: random.Random) -> Question:
    """The same plant, and a request that may well be legal; one thing about it is left as it was drawn."""
    role, verb, kind = dice.choice(PLAUSIBLE)
    device = f"{kind}-{dice.randint(0, 7)}" if kind else None
    changed: dict[str, object] = {
        "principal": "runbook:a" if role == "runbook" else "ann",
        "role": role,
        "verb": verb,
        "device": device,
        "severity": dice.choice((3, 4)),
        "by_verb": dice.randint(0, 4),
        "by_principal": dice.randint(0, 4),
    }
    if device is not None:
        changed["devices"] = question.devices | {device: Known(ANNOUNCED.get(kind, kind))}
    del changed[dice.choice(("severity", "by_verb", "by_principal", "severity", "principal"))]
    return replace(question, **changed)  # type: ignore[arg-type]


def _announced(dice: random.Random, name: str) -> str | None:
    if dice.random() < 0.1:
        return None
    kind = name.partition("-")[0]
    return dice.choice(("pipe", "pump", "junction")) if dice.random() < 0.1 else ANNOUNCED.get(kind, kind)


def topology(question: Question) -> Topology:
    described = question.devices.items()
    bodies: list[Body] = [
        Connected(DeviceId(name), known.announced) for name, known in described if known.announced is not None
    ]
    bodies += [
        Linked(DeviceId(link.source), DeviceId(link.target), Relation(link.relation), directed=link.directed)
        for link in question.links
    ]
    return Topology().merge(event(body, name=f"e{number}") for number, body in enumerate(bodies))


def action_of(question: Question) -> Action:
    severity, principal, role = SEVERITIES[question.severity], question.principal, question.role
    cause = Cause(instruction_id="in-1", task="t", principal=principal, role=role)
    if severity is not None:
        cause = Cause(alert_id="al-1", condition="fault", severity=severity, principal=principal, role=role)
    device = None if question.device is None else DeviceId(question.device)
    return action(verb=question.verb, device_id=device, cause=cause)


def approver_of(question: Question) -> Approver | None:
    return Approver("bob", question.approver) if question.approver else None


def found(decision: Decision) -> str:
    if not decision.allowed:
        return "refuse"
    return "pair" if decision.second else "wait" if decision.approval else "allow"


def test_no_illegal_request_passes_and_every_legal_one_does() -> None:
    told, dice, counts = Told(), random.Random(20_260_105), Counter[str]()
    engine = Policy(load(DEPLOYED / PLANT, PlantFile), sources_of(DEPLOYED), told)
    for _ in range(COUNT):
        question, graph = drawn(dice)
        told.rates_now = Rates(question.by_verb, 0, question.by_principal)
        decision = engine.decide(action_of(question), graph, second(0), approver=approver_of(question))
        assert found(decision) == expected(question), (question, decision)
        counts[found(decision)] += 1
    assert sum(counts.values()) == COUNT
    assert min(counts[name] for name in ("refuse", "allow", "wait", "pair")) >= 40, counts


def test_every_question_is_as_the_schema_says() -> None:
    dice = random.Random(7)
    engine = Policy(load(DEPLOYED / PLANT, PlantFile), sources_of(DEPLOYED), Told())
    asker, judged = Asker(engine.plant), 0
    for _ in range(1_000):
        question, graph = drawn(dice)
        request = action_of(question)
        if request.verb not in engine.verbs:
            continue
        with suppress(UnfitError):
            made = asker.ask(request, graph, second(0), rates=Rates(1, 2, 3), approver=approver_of(question))
            assert engine.cedar.conforms(made) == []
            judged += 1
    assert judged > 500
