"""Figures of a running service for Prometheus: read from its parts when they are asked for, so they cost nothing until then."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from schemas.alarm import AlarmState
from schemas.event import Severity

if TYPE_CHECKING:
    from streams.service import Parts

MEDIA = CONTENT_TYPE_LATEST
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
Family = CounterMetricFamily | GaugeMetricFamily


class Metrics:
    """Of one process. `requests` is told by the API."""

    def __init__(self, sources: Iterable[Collector] = ()) -> None:
        self._registry = CollectorRegistry()
        self.requests = Histogram(
            "openautoglm_http_request_seconds",
            "Time to answer a request, by route and status",
            ("method", "route", "status"),
            registry=self._registry,
            buckets=BUCKETS,
        )
        for source in sources:
            self._registry.register(source)

    def text(self) -> bytes:
        return generate_latest(self._registry)


class ServiceFigures(Collector):
    """What a service with a live graph has to tell."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Family]:
        yield from self._inputs()
        yield from self._alarms()
        parts = self._parts
        yield _gauge(
            "projection_lag_seconds", "Age of the oldest change that is not in the graph's database", parts.projection.lag
        )
        yield _gauge("projection_waiting_rows", "Rows that are not in the graph's database yet", parts.projection.waiting)
        yield _gauge("feed_newest", "Number of the newest row that subscribers are told", parts.feed.newest)
        yield _gauge("plant_time_seconds", "Event time up to which the plant is known", parts.analysis.pipeline.now / 1e6)

    def _inputs(self) -> Iterator[Family]:
        gateway, counts = self._parts.gateway, self._parts.analysis.pipeline.counts
        yield _counter("inputs_received", "Events and refused inputs since the start", gateway.received)
        yield _counter("inputs_invalid", "Inputs that were refused since the start", gateway.invalid)
        family = CounterMetricFamily("openautoglm_events", "Events taken into the graph", labels=("outcome",))
        for name in ("accepted", "duplicate", "late"):
            family.add_metric((name,), getattr(counts, name))
        yield family

    def _alarms(self) -> Iterator[Family]:
        standing = Count((alarm.state, alarm.severity) for alarm in self._parts.room.alarms())
        family = GaugeMetricFamily("openautoglm_alarms", "Alarms by state and severity", labels=("state", "severity"))
        for state in AlarmState:
            for severity in Severity:
                if state is not AlarmState.NORMAL:
                    family.add_metric((state, severity), standing[state, severity])
        yield family
        yield _gauge("alarm_flood", "1 while a flood of alarms is on", float(self._parts.room.flood is not None))


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"openautoglm_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"openautoglm_{name}", text, value=value)
