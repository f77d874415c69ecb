"""The service as an operator runs it, but for who understands instructions: `python -m tests.crash.instructed`."""

from __future__ import annotations

from streams.cli.running import until_told
from streams.service import Service
from streams.settings import Settings
from tests.streams.phrasebook import PHRASES, Phrasebook

if __name__ == "__main__":
    until_told(Service(Settings(), interpreter=Phrasebook(PHRASES)).run())
