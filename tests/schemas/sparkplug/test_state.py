"""STATE, the host's own certificates, as text."""

from __future__ import annotations

import json

import pytest

from schemas.sparkplug.model import SparkplugError
from schemas.sparkplug.state import State, decode_state, encode_state, reply

OWN = State(online=True, timestamp=1_767_571_200_000)

BIRTHS = [
    "tck-id-host-topic-phid-birth-payload",
    "tck-id-payloads-state-birth-payload",
    "tck-id-operational-behavior-host-application-connect-birth-payload",
    "tck-id-message-flow-phid-sparkplug-state-publish-payload",
]
DEATHS = [
    "tck-id-host-topic-phid-death-payload",
    "tck-id-payloads-state-will-message-payload",
    "tck-id-operational-behavior-host-application-connect-will-payload",
    "tck-id-operational-behavior-host-application-death-payload",
]


@pytest.mark.parametrize("tck_id", BIRTHS + DEATHS)
def test_a_certificate_is_json_of_two_members(tck_id: str) -> None:
    state = State(online=tck_id in BIRTHS, timestamp=OWN.timestamp)
    raw = encode_state(state)
    assert json.loads(raw.decode("utf-8")) == {"online": tck_id in BIRTHS, "timestamp": OWN.timestamp}
    assert decode_state(raw) == state


@pytest.mark.parametrize(
    "raw", [b"OFFLINE", b"", b"{}", b'{"online":"no","timestamp":1}', b'{"online":true}', b"\xff", b"[" * 9999]
)
def test_what_is_no_certificate_is_refused(raw: bytes) -> None:
    with pytest.raises(SparkplugError):
        decode_state(raw)


def test_a_host_contradicts_who_says_that_it_is_gone() -> None:
    gone = State(online=False, timestamp=OWN.timestamp - 5000)
    assert reply(encode_state(gone), OWN) == OWN
    assert reply(encode_state(OWN), OWN) is None
    assert reply(b"OFFLINE", OWN) == OWN
