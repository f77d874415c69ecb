"""Decisions on a plant of 10,000 devices with what goes down in reach, beside Cedar alone and beside keeping the decision."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from agents.entry import Entry, Stage
from agents.policy import HOUR
from agents.policyfolder import Policy
from graph.topology import Topology
from schemas.action import RUNBOOK, Action, Cause
from schemas.device import DeviceId, Relation
from schemas.event import Body, Connected, Event, Linked, Micros, Severity, rfc3339
from streams.ledger import SqliteLedger
from tests.bench.plant import SECOND, START, stamp

POLICIES = Path(__file__).parents[2] / "deploy" / "policy"
TREES, IN_TREE = 100, 100
KINDS = ("pipe", "junction", "pipe", "valve", "pipe", "junction", "pipe", "pump")
COUNT, REPEATS = 2_000, 5
KEPT, RECENT = 100_000, 100
"""Actions that were allowed, and how many of them in the last hour, all of one verb and for one principal."""
NOW = Micros(START + 3_600 * SECOND)


def plant() -> tuple[Topology, list[DeviceId], DeviceId]:
    """Trees of pipes, each device fed by one before it: half of them feed nothing. And a device that feeds all trees."""
    dice, bodies, names = random.Random(3), list[Body](), list[DeviceId]()
    source = DeviceId("pipe-source")
    bodies.append(Connected(source, "pipe", zone="zone-0"))
    for tree in range(TREES):
        grown: list[DeviceId] = []
        for number in range(IN_TREE):
            kind = KINDS[number % len(KINDS)]
            name = DeviceId(f"{kind}-{tree}.{number}")
            bodies.append(Connected(name, kind, zone=f"zone-{tree % 10}"))
            feeder = dice.choice(grown[-10:]) if grown else source
            bodies.append(Linked(feeder, name, Relation.FEEDS))
            grown.append(name)
        names += grown
    return Topology().merge(Event(stamp(number, START + number), body) for number, body in enumerate(bodies)), names, source


def asked(device: DeviceId, number: int, verb: str = "isolate") -> Action:
    return Action(
        action_id=f"action-{number}",
        site="bench",
        verb=verb,
        device_id=device,
        arguments={"reason": "fault", "speed": 0.5},
        cause=Cause(alert_id="al", condition="fault", severity=Severity.CRITICAL, principal="runbook:bench", role=RUNBOOK),
        requested_at=rfc3339(NOW),
        expires_at=rfc3339(Micros(NOW + 60 * SECOND)),
    )


def measured(case: str, works: Sequence[Callable[[], object]], *, repeats: int = REPEATS) -> dict[str, Any]:
    """Microseconds on the wall, of all as they came; and of the best of each one's repeats, which tells work from waiting."""
    every, best = [], []
    gc.collect()
    for work in works:
        times = []
        for _ in range(repeats):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
        every += times
        best.append(min(times))
    row: dict[str, Any] = {"bench": "policy", "case": case, "count": len(works), "repeats": repeats}
    for name, found in (("us", every), ("best_us", best)):
        found.sort()
        row |= {f"p50_{name}": round(found[len(found) // 2] * 1e6), f"p99_{name}": round(found[len(found) * 99 // 100] * 1e6)}
    return row


def run() -> list[dict[str, Any]]:
    topology, names, source = plant()
    dice = random.Random(5)
    drawn = [dice.choice(names) for _ in range(COUNT)]
    with TemporaryDirectory() as folder, closing(SqliteLedger(Path(folder) / "ledger.db")) as ledger:
        fill(ledger, names)
        policy = Policy.load(POLICIES, ledger)

        def decide(device: DeviceId, number: int, verb: str = "isolate") -> Callable[[], object]:
            action = asked(device, number, verb)
            return lambda: policy.decide(action, topology, NOW)

        def moved(device: DeviceId, number: int) -> Callable[[], object]:
            action = asked(device, number)

            def work() -> object:
                topology.version += 1  # as if the graph had changed since
                return policy.decide(action, topology, NOW)

            return work

        everyday = measured("isolate, graph has changed", [moved(device, number) for number, device in enumerate(drawn)])
        still = measured("isolate, graph has not changed", [decide(device, number) for number, device in enumerate(drawn)])
        plain = measured("inspect, nothing goes down", [decide(device, n, "inspect") for n, device in enumerate(drawn)])
        widest = measured("isolate what feeds all, cut at 1000", [moved(source, number) for number in range(200)])
        one = asked(names[0], 0)
        rates = measured("rates alone", [lambda: ledger.rates(one, Micros(NOW - HOUR)) for _ in range(COUNT)])
        kept = measured(
            "decision kept with its audit line, synced", [keep(ledger, asked(n, i)) for i, n in enumerate(names[:500])]
        )
    return [everyday, still, plain, widest, rates, kept]


def keep(ledger: SqliteLedger, action: Action) -> Callable[[], object]:
    entry = Entry(action=action, stage=Stage.REFUSED, at=NOW)
    return lambda: ledger.record(entry)


def fill(ledger: SqliteLedger, names: list[DeviceId]) -> None:
    """Straight into the table: so many synced transactions take minutes."""
    step = 3_600 * SECOND // RECENT
    rows = [(f"old-{n}", "isolate", names[n % len(names)], "runbook:bench", NOW - n * step) for n in range(KEPT)]
    with ledger._database.transaction() as connection:
        connection.executemany("INSERT INTO allowed VALUES (?, ?, ?, ?, ?)", rows)
