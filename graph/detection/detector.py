"""The detector of one site: events in their order go in, a `Step` for each grid time comes out.

The same object serves live and replay. It scores before it learns; thresholds never move once they are fixed. A step is closed
by the first event after it, or by `close`, so it does not matter how events are batched. Fed by the pipeline, used by the fault
tracker and the alarms.

Three ways to begin: with a model; with a model that says recordings differ, when each is learnt anew from its own first rows;
and with none, when everything is learnt from the plant's own first history. While learning, nothing is anomalous.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from graph.detection.conditional import Rows
from graph.detection.discrete import Watch
from graph.detection.evidence import Step
from graph.detection.judge import GONE_PER_DAY, Findings, Judge
from graph.detection.layout import EVENT_STEP, Layout
from graph.detection.model import Model, decode, encode, numeric_of, numeric_parts, pack_arrays, unpack_arrays
from graph.detection.news import News
from graph.detection.numeric import Follower, Numeric, train_numeric
from graph.detection.readings import Reading, Recording, readings
from graph.detection.silence import Silences, usual
from graph.detection.states import States
from graph.detection.table import Row, Table
from graph.detection.training import STRETCHES, learn
from graph.nn.hearing import Hearing
from graph.nn.predictor import Learnt, Predictor
from graph.topology import Topology
from schemas.device import DeviceId
from schemas.event import Connected, Disconnected, Event, Micros, Telemetry

COLD_ROWS = 300
"""Readings of the usual signal before an untrained detector learns, or"""
COLD_TIME = 3_600_000_000
"""an hour (micros) in which the busiest signal sent as many, but at the latest after so many readings:"""
COLD_MOST = 2_000_000
CHECK_EVERY = 64
HEAR_EVERY = 3
"""Steps between looks at a topology that has changed, for the network."""
BLANK_LAYOUT = Layout(EVENT_STEP, aligned=True, slack=0, sampled=(), states=(), codings=())


class Detector:
    """One per site; not for several threads at once. Unless `live`, the network keeps to the topology of its first step."""

    def __init__(self, model: Model | None, *, live: bool = True) -> None:
        self._live = live
        self._cold: Recording | None = Recording() if model is None else None
        self._own = False
        self._closed: list[Step] = []
        self._gone: dict[DeviceId, int] = {}
        self._adopt(model or Model(BLANK_LAYOUT))

    def _adopt(self, model: Model) -> None:
        self.model = model
        layout = model.layout
        self._table = Table(layout)
        self._columns = {key: place for place, key in enumerate(layout.sampled)}
        self._states = States(layout)
        self._watch = Watch(model.discrete) if model.discrete else None
        self._follower = Follower(model.numeric) if model.numeric else None
        self._heard_at: tuple[int, int] | None = None
        self._settling: list[Row] = []
        self._news = News(by_change=layout.aligned and layout is not BLANK_LAYOUT)
        self._judge = Judge(model)
        self._silences = Silences(layout, usual(model.figures.silences_per_day or {}, GONE_PER_DAY))

    # --- Events in --------------------------------------------------------------------------------------------------------

    def push(self, event: Event, topology: Topology) -> None:
        """Take in the next event; events come sorted by stamp, and `topology` knows this one already."""
        at = event.stamp.at
        self._advance(at, topology, inclusive=False)
        if self._watch is not None:
            self._states.begin(self._watch, at)
        self._presence(event)
        for reading in readings(event):
            self._take(reading, at)
        if self._cold is not None:
            self._cold.add(event)
            if _is_enough(self._cold):
                self._wake(self._cold, topology)

    def close(self, until: Micros, topology: Topology) -> list[Step]:
        """All steps that end at or before `until`, up to which no event is outstanding."""
        self._advance(until, topology, inclusive=True)
        closed = [step for step in self._closed if step.at <= until]
        self._closed = self._closed[len(closed) :]
        return closed

    def _presence(self, event: Event) -> None:
        body = event.body
        if isinstance(body, Disconnected):
            self._gone.setdefault(body.device_id, event.stamp.at)
        elif isinstance(body, Connected | Telemetry):
            self._gone.pop(body.device_id, None)
            self._silences.hear(body.device_id, event.stamp.at)

    def _take(self, reading: Reading, at: Micros) -> None:
        key, value = reading
        column = self._columns.get(key)
        if column is not None:
            if not isinstance(value, str):
                self._table.begin(at)
                self._table.set(column, float(value), at)
        elif (self._watch is not None and self._states.set(self._watch, key, value, at)) or self._news.take(key, value, at):
            self._table.begin(at)
        if self._cold is not None:
            self._table.begin(at)
            self._table.stir()

    # --- Steps out --------------------------------------------------------------------------------------------------------

    def _advance(self, until: Micros, topology: Topology, *, inclusive: bool) -> None:
        while self._table.due(until, inclusive=inclusive) is not None:
            row = self._table.take()
            step = self._score(row, topology)
            if step is not None:
                self._closed.append(step)

    def _score(self, row: Row, topology: Topology) -> Step | None:
        if self._watch is None and not row.fresh:
            return None
        if row.fresh:
            self._silences.look(row)
        silent = {device: since for device, since in self._silences.silent.items() if device not in self._gone}
        findings = Findings(row.at, gone=self._gone, silent=silent, news=tuple(sorted(self._news.strange(row.at))))
        if self._watch is not None:
            findings.surprise = self._watch.look(row.at)
        if row.fresh:
            if self.model.predictor is not None:
                self._hear(self.model.predictor, topology)
            self._judge_row(row, findings)
        return self._judge.step(findings)

    def _hear(self, learnt: Learnt, topology: Topology) -> None:
        """Let the network follow the topology; not at each step, so that a storm of changes costs little."""
        assert self._follower is not None
        version, steps = self._heard_at or (-1, 0)
        due = self._heard_at is None or (self._live and version != topology.version and steps >= HEAR_EVERY)
        if due:
            hearing = Hearing.live(topology, self.model.layout.sampled)
            if self._follower.predictor is None:
                self._follower.predictor = Predictor(learnt, hearing)
            else:
                self._follower.predictor.listen(hearing)
        self._heard_at = (topology.version, 0) if due else (version, steps + 1)

    def _judge_row(self, row: Row, findings: Findings) -> None:
        if self._follower is not None:
            findings.known = ~np.isnan(row.values)
            findings.now = self._follower.model.scale.apply(row.values)
            findings.strangeness = self._follower.follow(row, self._silences.columns() if self._silences.silent else None)
        elif self.model.settle_rows:
            self._settle(row)

    def _settle(self, row: Row) -> None:
        """Gather a recording's first rows; when there are enough, learn from them, once."""
        self._settling.append(row)
        if len(self._settling) >= self.model.settle_rows:
            part = Rows.of(self._settling, len(self.model.layout.sampled))
            self._take_over(train_numeric([part], self.model.layout.step, STRETCHES))
            self._settling = []

    def _take_over(self, numeric: Numeric) -> None:
        self._follower = Follower(numeric)
        self._judge.use(numeric)

    def _wake(self, cold: Recording, topology: Topology) -> None:
        """Enough is known: learn from the plant's own first history, and begin anew with what was learnt."""
        self._cold = None
        self._own = True
        self._adopt(learn([cold], topology))
        self._table.begin(cold.end)
        if self._watch is not None:
            self._states.begin(self._watch, cold.end)

    # --- State ------------------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """All that is remembered; the model only if it was learnt here. Bit-exact."""
        learnt = self._follower.model if self._follower and not self.model.numeric else None
        arrays, plain = numeric_parts(learnt) if learnt else ({}, {})
        return msgspec.msgpack.encode(
            {
                "own": encode(self.model) if self._own else None,
                "cold": self._cold.state() if self._cold is not None else None,
                "table": self._table.state(),
                "watch": self._watch.state() if self._watch else None,
                "follower": self._follower.state() if self._follower else None,
                "predictor": self._predictor_state(),
                "numeric": (pack_arrays(arrays), plain) if learnt else None,
                "settling": [(row.at, row.values.tobytes()) for row in self._settling],
                "gone": list(self._gone.items()),
                "silences": self._silences.state(),
                "news": self._news.state(),
                "closed": [step.packed() for step in self._closed],
            }
        )

    def _predictor_state(self) -> tuple[bytes, tuple[int, int] | None] | None:
        predictor = self._follower.predictor if self._follower else None
        return (predictor.snapshot(), self._heard_at) if predictor is not None else None

    def restore(self, state: bytes) -> None:
        """Go on where a snapshot was taken, with the model it was taken with. Raises ModelError."""
        held: dict[str, Any] = msgspec.msgpack.decode(state)
        if held["own"] is not None:
            self._adopt(decode(*held["own"]))
            self._own = True
        self._cold = None
        if held["cold"] is not None:
            self._cold = Recording()
            self._cold.restore(held["cold"])
        self._table.restore(held["table"])
        if self._watch is not None:
            self._watch.restore(held["watch"])
        if held["numeric"] is not None:
            packed, plain = held["numeric"]
            self._take_over(numeric_of(unpack_arrays(packed), plain))
        if self._follower is not None:
            self._follower.restore(held["follower"])
            if self.model.predictor is not None and held["predictor"] is not None:
                packed, self._heard_at = held["predictor"][0], tuple(held["predictor"][1])
                self._follower.predictor = Predictor.restored(self.model.predictor, packed)
        self._settling = [
            Row(at, np.frombuffer(values, dtype=np.float64).copy(), fresh=True) for at, values in held["settling"]
        ]
        self._gone = dict(held["gone"])
        if "silences" in held:
            self._silences.restore(held["silences"])
        self._news.restore(held["news"])
        self._closed = [Step.unpacked(part) for part in held["closed"]]


def _is_enough(cold: Recording) -> bool:
    """Whether an untrained detector has seen enough to learn from."""
    count = len(cold)
    usual = sorted(cold.counts)[len(cold.counts) // 2] if count and count % CHECK_EVERY == 0 else 0
    busiest = max(cold.counts, default=0)
    lasting = cold.end - cold.start >= COLD_TIME and busiest >= COLD_ROWS
    return usual >= COLD_ROWS or lasting or count >= COLD_MOST
