"""What deliveries say, in both formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.alarm import AlarmState as S
from schemas.alarm import Flood, Verb
from schemas.event import Severity
from streams.findings import Finding
from streams.webhooks.body import body_of, status_of
from streams.webhooks.body import test_body as body_of_test
from streams.webhooks.endpoint import Draft, Format, Webhook, WebhookId
from tests.streams.webhooks.receiver import Receiver
from tests.streams.webhooks.site import ORIGIN, TIME, Site, alert, logged, told, transition


def webhook(shape: Format) -> Webhook:
    return Webhook(id=WebhookId("wh_1"), url="https://example.com", format=shape, created_at=TIME)


async def said(folder: Path, *rows: Finding, shape: Format = Format.ALERTMANAGER) -> list[Any]:
    """What is told of rows."""
    bodies = [body_of(row, webhook(shape), ORIGIN) for row in await told(folder, *rows)]
    return [msgspec.json.decode(body) for body in bodies if body is not None]


async def test_a_standard_event(tmp_path: Path) -> None:
    (event,) = await said(tmp_path, alert(), shape=Format.STANDARD)
    data = msgspec.json.decode(msgspec.json.encode(alert()))
    assert event == {"type": "alert", "timestamp": TIME, "site": "plant", "data": data}


async def test_a_flood_has_the_time_of_its_newest_state(tmp_path: Path) -> None:
    flood = Flood(flood_id="f", opened_at=TIME, updated_at="2026-01-05T00:01:00Z", alarms=11, peak=11)
    (event,) = await said(tmp_path, flood, shape=Format.STANDARD)
    assert (event["type"], event["timestamp"]) == ("flood", "2026-01-05T00:01:00Z")


async def test_alertmanager_version_four(tmp_path: Path) -> None:
    (body,) = await said(tmp_path, transition())
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


async def test_an_alarm_keeps_its_fingerprint_and_is_resolved_with_it(tmp_path: Path) -> None:
    steps = (
        transition(),
        transition(2, verb=Verb.UPDATE, before=S.UNACKNOWLEDGED, severity=Severity.CRITICAL),
        transition(3, verb=Verb.CLEAR, before=S.UNACKNOWLEDGED, state=S.RETURNED, active=False),
    )
    alerts = [body["alerts"][0] for body in await said(tmp_path, *steps)]
    assert len({entry["fingerprint"] for entry in alerts}) == 1
    assert [(entry["status"], entry["labels"]["severity"]) for entry in alerts[:2]] == [
        ("firing", "high"),
        ("firing", "critical"),
    ]
    assert (alerts[2]["status"], alerts[2]["endsAt"]) == ("resolved", TIME)


async def test_other_kinds_are_not_for_alertmanager(tmp_path: Path) -> None:
    assert await said(tmp_path, alert()) == []


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
