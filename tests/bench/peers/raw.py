"""The fetch alone: aiokafka's getmany, values counted."""

from __future__ import annotations

import asyncio
import json
import sys
import time

from aiokafka import AIOKafkaConsumer


async def main(servers: str, topic: str, count: int) -> None:
    consumer = AIOKafkaConsumer(f"{topic}.events", bootstrap_servers=servers, auto_offset_reset="earliest", group_id=None)
    await consumer.start()
    taken, began = 0, 0.0
    while taken < count:
        records = await consumer.getmany(timeout_ms=500)
        began = began or time.perf_counter()
        taken += sum(map(len, records.values()))
    print(json.dumps({"events": count, "seconds": time.perf_counter() - began}), flush=True)
    await consumer.stop()


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
