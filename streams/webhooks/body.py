"""What a delivery says: an event of Standard Webhooks, or what Prometheus Alertmanager would send.

Made when a row is taken in and kept with the delivery, so every attempt says the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from schemas.alarm import HIDDEN, Transition, Verb
from streams.feed import Told
from streams.findings import Kind
from streams.webhooks.endpoint import Format, Webhook

TYPES = {
    Kind.ALARMS: "alarm.transition",
    Kind.ALERTS: "alert",
    Kind.FAULTS: "fault",
    Kind.FLOODS: "flood",
    Kind.ACTIONS: "action",
    Kind.RUNS: "run",
}
TEST = "test"
FIRING = "firing"
RESOLVED = "resolved"
NOT_YET = "0001-01-01T00:00:00Z"
"""How Alertmanager, written in Go, says that there is no such time."""
GROUPED = ("alertname", "device", "site")


class Origin(NamedTuple):
    """Whom deliveries come from; `url` leads people to the console."""

    site: str
    url: str = ""


class Moment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The time of a row of any kind."""

    time: str = ""
    updated_at: str = ""
    at: str = ""


def body_of(told: Told, webhook: Webhook, origin: Origin) -> bytes | None:
    """None: the webhook's format cannot say it."""
    if webhook.format is Format.STANDARD:
        moment = msgspec.json.decode(told.body, type=Moment)
        timestamp = moment.time or moment.updated_at or moment.at
        return _standard(TYPES[told.kind], timestamp, msgspec.Raw(told.body), origin)
    if told.kind is not Kind.ALARMS:
        return None
    transition = msgspec.json.decode(told.body, type=Transition)
    status = status_of(transition)
    return None if status is None else _alertmanager(_alert(transition, status, origin), webhook, origin)


def test_body(webhook: Webhook, origin: Origin, now: str) -> bytes:
    if webhook.format is Format.STANDARD:
        return _standard(TEST, now, {"webhookId": webhook.id}, origin)
    labels = {"alertname": TEST, "site": origin.site, "severity": "low"}
    alert = _entry(labels, {"summary": "A test of this webhook"}, times=(now, now), fingerprint=webhook.id, url=origin.url)
    return _alertmanager(alert, webhook, origin)


def status_of(transition: Transition) -> str | None:
    """What Alertmanager would call it; None: nothing that it would tell.

    An alarm that is shelved, suppressed or put under a parent asks for nobody any more, so it is resolved for the receiver.
    """
    alarm = transition.alarm
    if alarm.active and alarm.annunciated:
        return None if transition.verb in {Verb.ACKNOWLEDGE, Verb.RESET} else FIRING
    if transition.before in HIDDEN or (alarm.alert.suppressed_by is not None and transition.verb is not Verb.UPDATE):
        return None
    return RESOLVED


def _standard(kind: str, timestamp: str, data: object, origin: Origin) -> bytes:
    return msgspec.json.encode({"type": kind, "timestamp": timestamp, "site": origin.site, "data": data})


def _alert(transition: Transition, status: str, origin: Origin) -> dict[str, Any]:
    alarm = transition.alarm
    labels = {
        "alertname": alarm.condition,
        "condition": alarm.condition,
        "device": alarm.device_id,
        "severity": alarm.severity,
        "site": origin.site,
    }
    if alarm.alert.fault_id is not None:
        labels["fault"] = alarm.alert.fault_id
    annotations = {
        "summary": f"{alarm.condition} at {alarm.device_id} ({alarm.severity})",
        "alarm": alarm.alarm_id,
        "state": alarm.state,
    }
    ends = transition.time if status == RESOLVED else NOT_YET
    # Of the alarm alone: its severity and fault may become others while it stands, and it stays the same alert.
    fingerprint = f"{origin.site} {alarm.alarm_id}"
    return _entry(labels, annotations, times=(alarm.raised_at, ends), fingerprint=fingerprint, url=origin.url)


def _entry(
    labels: Mapping[str, str], annotations: Mapping[str, str], *, times: tuple[str, str], fingerprint: str, url: str
) -> dict[str, Any]:
    return {
        "status": FIRING if times[1] == NOT_YET else RESOLVED,
        "labels": labels,
        "annotations": annotations,
        "startsAt": times[0],
        "endsAt": times[1],
        "generatorURL": url,
        "fingerprint": hashlib.sha256(fingerprint.encode()).hexdigest()[:16],
    }


def _alertmanager(alert: dict[str, Any], webhook: Webhook, origin: Origin) -> bytes:
    group = {name: alert["labels"][name] for name in GROUPED if name in alert["labels"]}
    key = ", ".join(f"{name}={msgspec.json.encode(value).decode()}" for name, value in group.items())
    return msgspec.json.encode(
        {
            "version": "4",
            "groupKey": f"{{}}:{{{key}}}",
            "truncatedAlerts": 0,
            "status": alert["status"],
            "receiver": webhook.id,
            "groupLabels": group,
            "commonLabels": alert["labels"],
            "commonAnnotations": alert["annotations"],
            "externalURL": origin.url,
            "alerts": [alert],
        }
    )
