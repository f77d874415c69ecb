"""The whole service with a Sparkplug host: from an edge node's message to the live graph and the dead letters."""

from __future__ import annotations

from pathlib import Path

from schemas.device import SignalName
from schemas.sparkplug.datatype import Datatype
from schemas.sparkplug.model import Metric
from schemas.sparkplug.values import metric
from tests.e2e.service import running
from tests.schemas.sparkplug.bench import NODE, PUMP, Edge, number
from tests.waiting import until


async def test_edge_nodes_reach_the_live_graph(tmp_path: Path) -> None:
    edge = Edge()
    async with running(tmp_path, sparkplug_role="active", allowed_lateness=0.0) as (parts, client):
        assert parts.sparkplug is not None
        await until(parts.sparkplug.connected.is_set)
        await client.publish(*edge.nbirth(metric(Datatype.INT32, -12, name="heat"), Metric(name="odd", datatype=99)), qos=0)
        await client.publish(*edge.dbirth(number("flow", 4.5)), qos=0)
        for _ in range(3):
            edge.at += 1000
            await client.publish(*edge.ddata(number("flow", edge.at - edge.seq)), qos=0)
            await client.publish(*edge.ndata(metric(Datatype.INT32, edge.seq, name="heat")), qos=0)
        topology = parts.analysis.pipeline.topology
        await until(lambda: topology.readings(PUMP).get(SignalName("flow")) is not None)
        await until(lambda: (device := topology.device(PUMP)) is not None and device.parent == NODE)
        await until(lambda: [letter.reason for letter in parts.outbox.deadletters()] == ["metric 'odd': unknown data type 99"])
        assert parts.gateway.received == 0


async def test_without_a_role_there_is_no_host(tmp_path: Path) -> None:
    async with running(tmp_path) as (parts, client):
        assert parts.sparkplug is None
        await client.publish(*Edge().nbirth(number("t", 1)), qos=0)
        assert parts.analysis.pipeline.topology.device(NODE) is None
