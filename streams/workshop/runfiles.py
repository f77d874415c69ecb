"""The files that runs make: pictures and reports, each under a name that follows from run and task alone.

Fed by the tools that make documents; read by the API. A file is there as a whole or not at all; of old runs they go.
"""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path

from agents.workshop import ToolError

logger = logging.getLogger(__name__)
RUNS = 1_000
"""Of which files are kept."""
RUN = re.compile(r"run-[0-9a-f]{24}\Z")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\.(?:svg|md)\Z")
MEDIA = {".svg": "image/svg+xml", ".md": "text/markdown; charset=utf-8"}
Facts = dict[str, str | int]


class RunFiles:
    """Below one folder."""

    def __init__(self, folder: Path, *, runs: int = RUNS) -> None:
        self._folder = folder
        self._runs = runs

    def write(self, run_id: str, name: str, content: bytes) -> Facts:
        """Keep a file in the place of an older one; what tells of it. Blocks. Raises ToolError, OSError."""
        path = self._path(run_id, name)
        if path is None:
            raise ToolError(f"{name} of run {run_id} is no name of a file")
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._prune()
        fresh = path.with_name(f".{name}.new")
        fresh.write_bytes(content)
        fresh.replace(path)
        return facts(name, len(content))

    def find(self, run_id: str, name: str) -> Path | None:
        """Where a file is, if it is there."""
        path = self._path(run_id, name)
        return path if path is not None and path.is_file() else None

    def _path(self, run_id: str, name: str) -> Path | None:
        return self._folder / run_id / name if RUN.match(run_id) and NAME.match(name) else None

    def _prune(self) -> None:
        folders = sorted((each for each in self._folder.iterdir() if each.is_dir()), key=lambda each: each.stat().st_mtime)
        for folder in folders[: -self._runs]:
            shutil.rmtree(folder, ignore_errors=True)
            logger.info("the files of %s are gone: more than %d runs have some", folder.name, self._runs)


def facts(name: str, size: int) -> Facts:
    return {"name": name, "mediaType": MEDIA[Path(name).suffix], "bytes": size}
