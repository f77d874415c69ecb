"""Puts the API together: keys, gate, figures, routes and the console, and serves them until cancelled."""

from __future__ import annotations

import logging
import secrets
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING

from streams.access import Keys, Tokens
from streams.api.application import application
from streams.api.gate import Gate
from streams.api.repeats import Repeats
from streams.folder import Folder
from streams.listening import ApiServer
from streams.metrics import Metrics, ServiceFigures
from streams.readiness import Progress
from streams.settings import Auth, Settings

if TYPE_CHECKING:
    from streams.service import Parts

logger = logging.getLogger(__name__)


async def serve(settings: Settings, server: ApiServer, folder: Folder, parts: Parts) -> None:
    """Until cancelled. The address stands in the data folder meanwhile, for the command line."""
    with ExitStack() as stack:
        keys = stack.enter_context(closing(Keys(folder.access)))
        repeats = stack.enter_context(closing(Repeats(folder.access)))
        gate = Gate(settings, keys, Tokens.of(settings))
        if settings.api_auth is Auth.OFF and not gate.is_local:
            logger.warning("setting api_auth is off: whoever reaches %s may do everything", server.url)
        app = application(
            parts.room,
            book=parts.webhooks,
            gate=gate,
            repeats=repeats,
            ready=Progress(parts),
            metrics=Metrics([ServiceFigures(parts)]),
        )
        if settings.console:
            from streams.console.installation import install  # noqa: PLC0415 - a second that others need not wait

            install(app, parts.room, gate)
        folder.address.write_text(server.url, encoding="ascii")
        try:
            await server.run(app, ending=parts.feed.end)
        finally:
            with suppress(FileNotFoundError):
                folder.address.unlink()


def session_secret(folder: Folder) -> str:
    """Signs the cookies of the console; made when first asked for, and readable by the service alone."""
    with suppress(FileNotFoundError):
        return folder.session.read_text(encoding="ascii")
    folder.session.touch(mode=0o600)
    folder.session.write_text(secrets.token_urlsafe(32), encoding="ascii")
    return folder.session.read_text(encoding="ascii")
