"""The demo plant on MQTT, faster than real time: steps, spools, and an uplink for each gateway."""

from __future__ import annotations

import asyncio
import time

from schemas.action import Action
from schemas.device import DeviceId
from schemas.event import Micros
from streams.mqtt import Address
from streams.simulator.faults import Fault
from streams.simulator.network import STEP
from streams.simulator.plant import SITE, START, Plant
from streams.simulator.spool import Spools
from streams.simulator.uplink import Uplink
from streams.topics import Topics


class Simulator:
    """A plant at work. Making one imports wntr and warms the plant up: seconds in which nothing else runs in its thread.

    `speed`: simulated seconds per second; it may be changed at any time. `epoch`: the gateways' boot number, by default the
    clock's second, so that each start is a later one. `spool`: events a gateway keeps at most; the plant stands still while
    one is full.
    """

    def __init__(
        self,
        site: str = SITE,
        address: Address | None = None,
        *,
        seed: int = 0,
        speed: float = 3000.0,
        start: Micros = START,
        epoch: int | None = None,
        spool: int = 20_000,
    ) -> None:
        self.plant = Plant(site, seed=seed, start=start, epoch=int(time.time()) if epoch is None else epoch)
        self.speed = speed
        self._address = address or Address("127.0.0.1", 1883)
        self._topics = Topics(site)
        self._spools = Spools(self.plant.equipment.gateways, most=spool)

    async def run(self, *, hours: float | None = None) -> None:
        """Simulate and publish, for so many simulated hours or until cancelled; may be called again to go on.

        Returns when the service has confirmed everything; without a service that is never.
        """
        async with asyncio.TaskGroup() as tasks:
            uplinks = [tasks.create_task(uplink.run(), name="simulator: uplink") for uplink in self._uplinks()]
            await self._produce(None if hours is None else round(hours * 3600 / STEP))
            await self._spools.all_safe()
            for uplink in uplinks:
                uplink.cancel()

    @property
    def time(self) -> Micros:
        """Event time of the next step."""
        return self.plant.time

    @property
    def waiting(self) -> int:
        """Events that the service has not confirmed."""
        return self._spools.waiting

    @property
    def truth(self) -> list[DeviceId]:
        """Where the faults of the last step began."""
        return [fault.device for fault in self.plant.active()]

    def inject(self, fault: Fault) -> None:
        """Break something. Raises ValueError where the device cannot have it."""
        self.plant.inject(fault)

    def _uplinks(self) -> list[Uplink]:
        return [
            Uplink(name, topics=self._topics, address=self._address, spools=self._spools, order=self._order)
            for name in self.plant.equipment.gateways
        ]

    def _order(self, gateway: DeviceId, action: Action) -> None:
        """Each gateway hears all commands; it hands on those for the devices behind it, and none while it is dark."""
        equipment = self.plant.equipment
        device = action.device_id
        if device is None or device not in equipment or equipment.gateway(device) != gateway or self.plant.dark(gateway):
            return
        self.plant.act(action)

    async def _produce(self, steps: int | None) -> None:
        due = time.monotonic()
        while steps is None or steps > 0:
            await self._spools.room()
            self._spools.put(self.plant.step())
            due = max(due + STEP / self.speed, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            steps = None if steps is None else steps - 1
