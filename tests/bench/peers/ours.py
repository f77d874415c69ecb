"""The worker: SERVERS TOPIC COUNT PROGRAM; with `ours-whole` the whole pipeline, else a pipeline that only merges."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence

from schemas.event import Event
from streams.cluster import Cluster, Names
from streams.crashpoints import CrashPoints
from streams.kafka_admin import prepare
from streams.pipeline import Pipeline, Reaction
from streams.shards import Shards
from streams.worker import Worker


class MergeOnly(Pipeline):
    def __call__(self, events: Sequence[Event]) -> Reaction:
        self.topology.merge(events)
        self.counts.accepted += len(events)
        return Reaction()


class Filled(Names):
    """State and group of this run alone; events from the topic that was filled."""

    @property
    def events(self) -> str:
        return f"{sys.argv[2]}.events"


async def main(servers: str, topic: str, count: int, program: str) -> None:
    cluster, names = Cluster(servers), Filled(f"{program}-{time.time_ns()}")
    partitions = await prepare(cluster, Names(topic), partitions=1, replication=1, retention=3600)
    await prepare(cluster, Names(names.prefix), partitions=partitions, replication=1, retention=3600)
    made = Pipeline if program == "ours-whole" else MergeOnly
    pipelines: list[Pipeline] = []

    def pipeline_of(site: str) -> Pipeline:
        pipelines.append(made(site))
        return pipelines[-1]

    shards = Shards(cluster, names, partitions=partitions, pipeline_of=pipeline_of, every=5, crash=CrashPoints())
    worker = Worker(cluster, names, shards, identity=None, stalled_after=60)
    running = asyncio.create_task(worker.run())
    while not pipelines:
        await asyncio.sleep(0.001)
    began = time.perf_counter()
    while sum(pipeline.counts.accepted + pipeline.counts.duplicate for pipeline in pipelines) < count:
        await asyncio.sleep(0.005)
    print(json.dumps({"events": count, "seconds": time.perf_counter() - began}), flush=True)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
