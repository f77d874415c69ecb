"""Two services do not share an address, and the second one says so when it starts."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from streams.listening import AddressError, ApiServer
from streams.settings import Settings


def on(folder: Path, port: int) -> ApiServer:
    return ApiServer(Settings(data=folder, api_port=port))


def test_an_address_in_use_is_said_by_the_settings_name(tmp_path: Path) -> None:
    """Also while the other one does not serve yet."""
    with closing(on(tmp_path, 0)) as first:
        with pytest.raises(AddressError, match=f"setting api_port: cannot listen on 127.0.0.1:{first.port}: "):
            on(tmp_path, first.port)
        with closing(on(tmp_path, 0)) as second:
            assert second.port != first.port
