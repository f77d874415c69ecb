"""Places of devices: found from devices and edges alone, one for each, and kept."""

from __future__ import annotations

import itertools
import random

import pytest

from schemas.device import DeviceId, Edge, Relation
from streams.answers import DeviceNow
from streams.console.layout import Plan


def device(number: int, *, zone: str | None = "north", **properties: float) -> DeviceNow:
    return DeviceNow(device_id=DeviceId(f"d-{number:03}"), state="connected", zone=zone, properties=properties)


def chain(devices: list[DeviceNow]) -> list[Edge]:
    return [Edge(one.device_id, other.device_id, Relation.FEEDS) for one, other in itertools.pairwise(devices)]


def drawn(plan: Plan, devices: list[DeviceNow]) -> dict[DeviceId, tuple[int, int]]:
    return {one.device_id: plan.place(one) for one in devices}


@pytest.mark.parametrize("count", [1, 2, 3, 40, 200])
def test_each_device_has_a_place_of_its_own_in_its_zone(count: int) -> None:
    devices = [device(number, zone=("north", "south", None)[number % 3]) for number in range(count)]
    plan = Plan()
    plan.extend(devices, chain(devices))
    assert len(set(drawn(plan, devices).values())) == count
    for region in plan.regions({one.zone for one in devices}):
        inside = [plan.place(one) for one in devices if one.zone == region.zone]
        assert all(region.x < x < region.x + region.width and region.y < y < region.y + region.height for x, y in inside)


def test_the_order_in_which_devices_are_told_does_not_matter() -> None:
    devices = [device(number, zone="ab"[number % 2]) for number in range(60)]
    edges = chain(devices)
    one, other = Plan(), Plan()
    one.extend(devices, edges)
    mixed = devices.copy()
    random.Random(1).shuffle(mixed)
    other.extend(mixed, edges)
    assert drawn(one, devices) == drawn(other, devices)


def test_devices_keep_their_places_when_others_come_and_go() -> None:
    devices = [device(number) for number in range(30)]
    plan = Plan()
    plan.extend(devices, chain(devices))
    before = drawn(plan, devices)
    plan.extend(devices[:10], [])
    more = [*devices, device(30), device(31), device(32, zone="south")]
    plan.extend(more, [*chain(devices), Edge(devices[3].device_id, more[30].device_id, Relation.FEEDS)])
    assert drawn(plan, devices) == before
    assert len(set(drawn(plan, more).values())) == len(more)


def test_a_full_zone_is_laid_out_anew() -> None:
    devices = [device(number) for number in range(200)]
    plan = Plan()
    plan.extend(devices[:4], [])
    plan.extend(devices, chain(devices))
    assert len(set(drawn(plan, devices).values())) == 200


def test_drawings_of_the_plant_are_followed_with_north_up() -> None:
    devices = [device(0, x=0, y=0), device(1, x=9, y=0), device(2, x=0, y=9), device(3, x=9, y=9)]
    plan = Plan()
    plan.extend(devices, [])
    (x, y), (right, _), (_, top), _ = (plan.place(one) for one in devices)
    assert right > x
    assert top < y


def test_a_line_leads_to_the_right() -> None:
    devices = [device(number) for number in range(6)]
    plan = Plan()
    plan.extend(devices, chain(devices))
    places = [plan.place(one)[0] for one in devices]
    assert places[0] < places[-1]


def test_a_plant_without_devices_is_laid_out_and_filled_later() -> None:
    plan = Plan()
    plan.extend([], [])
    devices = [device(number) for number in range(3)]
    plan.extend(devices, chain(devices))
    assert len({plan.place(one) for one in devices}) == 3
