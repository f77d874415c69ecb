"""Sites of a worker, each followed by a projection of its graph into the database while the worker holds it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from graph.store import GraphStore
from streams.kafka import Partition
from streams.projection import PipelineSource, Projection
from streams.shard import Site


class Followed:
    """One site's projection, running."""

    def __init__(self, projection: Projection, source: PipelineSource, site: str) -> None:
        self.projection = projection
        self._source = source
        self._task = asyncio.create_task(projection.run(), name=f"{site}: projection")

    def noticed(self) -> None:
        """Raises what ended the projection, if something did: the database's own errors do not."""
        if self._task.done():
            self._task.result()
        self._source.noticed()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class Projections:
    """`origin`: of a partition, the same for all workers, so that what one has written is known to the next."""

    def __init__(self, store: GraphStore, *, origin: Callable[[Partition], str], executor: Executor) -> None:
        self._store = store
        self._origin = origin
        self._executor = executor

    def __call__(self, partition: Partition, site: Site) -> Followed:
        source = PipelineSource(
            site.pipeline, origin=self._origin(partition), offset=lambda: site.position, run=self._in_model_thread
        )
        return Followed(Projection(self._store, source, owns=False), source, site.pipeline.site)

    async def _in_model_thread(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)
