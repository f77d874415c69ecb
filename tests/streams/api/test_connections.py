"""Connections that ask for nothing end, and are never so many that the service has no files of its own."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import uvicorn
from fastapi import FastAPI

from streams.connections import Server, guarded
from tests.waiting import HUNG

MOST = 5


async def serving() -> tuple[Server, asyncio.Task[None], int]:
    config = uvicorn.Config(FastAPI(), port=0, log_config=None, http=guarded(MOST, silent=0.3))
    server = Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    return server, task, server.servers[0].sockets[0].getsockname()[1]


async def test_silent_connections_end_and_many_are_refused() -> None:
    server, task, port = await serving()
    pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3 * MOST)]
    async with asyncio.timeout(HUNG):
        for reader, writer in pairs:
            with suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
        while server.server_state.connections:
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"404" in await reader.readline()
        writer.close()
    server.should_exit = True
    await task


async def test_no_more_are_served_at_a_time_than_there_is_room_for() -> None:
    server, task, port = await serving()
    pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3 * MOST)]
    served = 0
    for reader, writer in pairs:
        with suppress(ConnectionError):
            writer.write(b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n")
            await writer.drain()
            served += b"404" in await asyncio.wait_for(reader.readline(), HUNG)
    assert served <= MOST
    for _, writer in pairs:
        writer.close()
    server.should_exit = True
    await task
