"""Kill, pause, cut, slow, fill: whatever happens to a deployment, nothing is lost and nothing counts twice.

The short set; `make soak` runs the long one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from graph.detection.model import Model
from tests.cluster.world import Engines, Hurt, Verdict, cut, engines, hold, judged, kill, pause, slow, world
from tests.streams.plant import recording
from tests.waiting import HUNG

pytestmark = pytest.mark.xdist_group("chaos")
EVENTS = recording(400, seed=9, broken_from=200)
SHORT: dict[str, list[tuple[float, Hurt]]] = {
    "worker and gateway process killed within a second": [
        (4, partial(kill, name="worker-0")),
        (4.5, partial(kill, name="gateway")),
    ],
    "Kafka and a worker killed within a second": [(4, partial(kill, name="kafka")), (4.5, partial(kill, name="worker-1"))],
    "Mosquitto killed, the links cut": [
        (3, partial(kill, name="mosquitto")),
        (7, partial(cut, name="mqtt", seconds=2)),
        (10, partial(cut, name="kafka", seconds=2)),
    ],
    "everything stands still in turn": [
        (2, partial(pause, name="gateway", seconds=5)),
        (4, partial(pause, name="kafka", seconds=5)),
        (6, partial(pause, name="worker-0", seconds=5)),
        (8, partial(pause, name="mosquitto", seconds=5)),
        (10, partial(slow, name="kafka", delay=0.2, seconds=3)),
        (12, partial(hold, name="mqtt", seconds=3)),
    ],
}


@pytest.fixture(scope="module")
def there_are(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    with engines(tmp_path_factory.mktemp("engines")) as made:
        yield made


@pytest.mark.parametrize("name", SHORT)
async def test_nothing_is_lost_and_nothing_counts_twice(
    name: str, there_are: Engines, model: tuple[Model, Path], tmp_path: Path
) -> None:
    site = f"faults-{list(SHORT).index(name)}"
    async with asyncio.timeout(HUNG), world(there_are, tmp_path, site=site, model=model[1]) as there:
        verdict = await judged(there, EVENTS, model[0], SHORT[name])
    assert verdict.good, verdict
    assert (verdict.events, verdict.alerts > 0) == (len(EVENTS), True)


GOOD = Verdict(10, 1, lost=0, twice=0, same_graph=True, same_findings=True, unprojected=0, seconds=1)


@pytest.mark.parametrize(
    "flaw", [{"lost": 1}, {"twice": 1}, {"same_graph": False}, {"same_findings": False}, {"unprojected": 1}], ids=str
)
def test_the_verdict_is_good_only_if_all_is(flaw: dict[str, Any]) -> None:
    assert GOOD.good
    assert not replace(GOOD, **flaw).good
