"""Puts the API together: keys, gate, figures, routes and the console, and serves them until cancelled."""

from __future__ import annotations

import logging
from contextlib import ExitStack, closing, suppress

from streams.access import Keys, Tokens
from streams.api.application import application
from streams.api.gate import Gate
from streams.api.repeats import Repeats
from streams.folder import Folder
from streams.front import Front
from streams.listening import ApiServer
from streams.settings import Auth, Settings

logger = logging.getLogger(__name__)


async def serve(settings: Settings, server: ApiServer, folder: Folder, front: Front) -> None:
    """Until cancelled. The address stands in the data folder meanwhile, for the command line."""
    with ExitStack() as stack:
        keys = stack.enter_context(closing(Keys(folder.access)))
        repeats = stack.enter_context(closing(Repeats(folder.access)))
        tokens = Tokens.of(settings)
        if tokens is not None:
            stack.enter_context(closing(tokens))
        gate = Gate(settings, keys, tokens)
        if settings.api_auth is Auth.OFF and not gate.is_local:
            logger.warning("setting api_auth is off: whoever reaches %s may do everything", server.url)
        app = application(front, gate=gate, repeats=repeats)
        if settings.console:
            from streams.console.installation import install  # noqa: PLC0415 - a second that others need not wait

            install(app, front.room, gate)
        fresh = folder.address.with_suffix(".new")
        fresh.write_text(server.local_url, encoding="ascii")
        fresh.replace(folder.address)
        try:
            await server.run(app, ending=front.feed.end)
        finally:
            with suppress(FileNotFoundError):
                folder.address.unlink()
