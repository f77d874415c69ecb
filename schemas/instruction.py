"""How far the carrying out of an instruction has come, for subscribers.

Made by `streams.runrecord` from the scheduler's steps. What tasks put out is not in it: it may be large, and is asked for.
"""

from __future__ import annotations

import msgspec


class RunProgress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A run, or with `task` one of its tasks, reaching a state (`agents.run.RunState`, `TaskState`).

    `text`, the instruction, and `principal`, who gave it, are of the run alone. Times are RFC 3339, by the wall's clock.
    """

    run_id: str
    site: str
    at: str
    state: str
    task: str | None = None
    tool: str = ""
    attempt: int = 0
    detail: str = ""
    text: str = ""
    principal: str = ""
    dry: bool = False
