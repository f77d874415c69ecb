"""What deliveries say, in both formats."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from schemas.alarm import AlarmState as S
from schemas.alarm import Flood, Transition, Verb
from schemas.event import Severity
from schemas.finding import Alert
from streams.feed import Told
from streams.findings import Kind
from streams.webhooks.body import body_of, status_of
from streams.webhooks.body import test_body as body_of_test
from streams.webhooks.endpoint import Draft, Format, Webhook, WebhookId
from tests.streams.webhooks.receiver import Receiver
from tests.streams.webhooks.site import ORIGIN, TIME, Site, alert, logged, transition


def webhook(shape: Format) -> Webhook:
    return Webhook(id=WebhookId("wh_1"), url="https://example.com", format=shape, created_at=TIME)


def told(found: Transition | Alert | Flood, kind: Kind = Kind.ALARMS) -> Told:
    return Told(number=1, kind=kind, body=msgspec.json.encode(found))


def said(found: Transition, shape: Format = Format.ALERTMANAGER) -> Any:
    body = body_of(told(found), webhook(shape), ORIGIN)
    return None if body is None else msgspec.json.decode(body)


def test_a_standard_event() -> None:
    body = body_of(told(alert(), Kind.ALERTS), webhook(Format.STANDARD), ORIGIN)
    assert body is not None
    event = msgspec.json.decode(body)
    assert event == {"type": "alert", "timestamp": TIME, "site": "plant", "data": msgspec.json.decode(told(alert()).body)}


def test_a_flood_has_the_time_of_its_newest_state() -> None:
    flood = Flood(flood_id="f", opened_at=TIME, updated_at="2026-01-05T00:01:00Z", alarms=11, peak=11)
    body = body_of(told(flood, Kind.FLOODS), webhook(Format.STANDARD), ORIGIN)
    assert body is not None
    assert msgspec.json.decode(body)["timestamp"] == "2026-01-05T00:01:00Z"


def test_alertmanager_version_four() -> None:
    body = said(transition())
    fingerprint = body["alerts"][0]["fingerprint"]
    labels = {
        "alertname": "anomaly",
        "condition": "anomaly",
        "device": "pump-1",
        "severity": "high",
        "site": "plant",
        "fault": "fault-1",
    }
    annotations = {"summary": "anomaly at pump-1 (high)", "alarm": "alarm-pump-1", "state": "unacknowledged"}
    assert body == {
        "version": "4",
        "groupKey": '{}:{alertname="anomaly", device="pump-1", site="plant"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "wh_1",
        "groupLabels": {"alertname": "anomaly", "device": "pump-1", "site": "plant"},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "https://console.example",
        "alerts": [
            {
                "status": "firing",
                "labels": labels,
                "annotations": annotations,
                "startsAt": TIME,
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "https://console.example",
                "fingerprint": fingerprint,
            }
        ],
    }
    assert len(fingerprint) == 16


def test_an_alarm_keeps_its_fingerprint_and_is_resolved_with_it() -> None:
    raised = said(transition())["alerts"][0]
    worse = said(transition(2, verb=Verb.UPDATE, before=S.UNACKNOWLEDGED, severity=Severity.CRITICAL))["alerts"][0]
    cleared = said(transition(3, verb=Verb.CLEAR, before=S.UNACKNOWLEDGED, state=S.RETURNED, active=False))["alerts"][0]
    assert raised["fingerprint"] == worse["fingerprint"] == cleared["fingerprint"]
    assert (cleared["status"], cleared["endsAt"]) == ("resolved", TIME)


def test_other_kinds_are_not_for_alertmanager() -> None:
    assert body_of(told(alert(), Kind.ALERTS), webhook(Format.ALERTMANAGER), ORIGIN) is None


@pytest.mark.parametrize(
    ("before", "verb", "state", "active", "parent", "status"),
    [
        (S.NORMAL, Verb.RAISE, S.UNACKNOWLEDGED, True, None, "firing"),
        (S.NORMAL, Verb.RAISE, S.UNACKNOWLEDGED, True, "parent", None),
        (S.UNACKNOWLEDGED, Verb.UPDATE, S.UNACKNOWLEDGED, True, None, "firing"),
        (S.UNACKNOWLEDGED, Verb.UPDATE, S.UNACKNOWLEDGED, True, "parent", "resolved"),
        (S.UNACKNOWLEDGED, Verb.ACKNOWLEDGE, S.ACKNOWLEDGED, True, None, None),
        (S.UNACKNOWLEDGED, Verb.CLEAR, S.RETURNED, False, None, "resolved"),
        (S.UNACKNOWLEDGED, Verb.CLEAR, S.RETURNED, False, "parent", None),
        (S.ACKNOWLEDGED, Verb.CLEAR, S.NORMAL, False, None, "resolved"),
        (S.UNACKNOWLEDGED, Verb.SHELVE, S.SHELVED, True, None, "resolved"),
        (S.SHELVED, Verb.UNSHELVE, S.UNACKNOWLEDGED, True, None, "firing"),
        (S.SHELVED, Verb.CLEAR, S.SHELVED, False, None, None),
        (S.SUPPRESSED, Verb.UPDATE, S.SUPPRESSED, True, None, None),
    ],
)
def test_what_is_firing(before: S, verb: Verb, state: S, *, active: bool, parent: str | None, status: str | None) -> None:
    assert status_of(transition(2, verb=verb, before=before, state=state, active=active, parent=parent)) == status


def test_a_test_opens_no_alert() -> None:
    body = msgspec.json.decode(body_of_test(webhook(Format.ALERTMANAGER), ORIGIN, TIME))
    assert (body["status"], body["groupLabels"]) == ("resolved", {"alertname": "test", "site": "plant"})


async def test_an_alertmanager_receiver_is_told_alarms_alone(plant: Site, receiver: Receiver) -> None:
    made, _ = await plant.webhooks.create(Draft(url=receiver.url, format=Format.ALERTMANAGER))
    await plant.add(alert(), transition(), transition(2, verb=Verb.ACKNOWLEDGE, before=S.UNACKNOWLEDGED, state=S.ACKNOWLEDGED))
    await plant.add(transition(3, verb=Verb.CLEAR, before=S.ACKNOWLEDGED, state=S.NORMAL, active=False))
    await logged(plant, made.id, ["delivered"] * 2)
    assert sorted(request.event["status"] for request in receiver.requests) == ["firing", "resolved"]
