"""How the plant's refusals reach the one who gave the instruction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from agents.workshop import ToolError, TransientError
from graph.store import StoreAwayError, StoreError
from graph.topology import TooLongAgoError
from streams.plantview import NotHereError, UnknownDeviceError


@contextmanager
def asked() -> Iterator[None]:
    """Raises ToolError for what is not there, TransientError for what may be there soon."""
    try:
        yield
    except (UnknownDeviceError, NotHereError, TooLongAgoError) as error:
        raise ToolError(str(error)) from error
    except StoreAwayError as error:
        raise TransientError(str(error)) from error
    except StoreError as error:
        raise ToolError(str(error)) from error
