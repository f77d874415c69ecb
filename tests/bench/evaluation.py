"""Results of the evaluation kit as tables for docs/evaluation.md: `python -m tests.bench.evaluation RESULT...`.

A result is what the kit printed for a task; its last line is JSON with the system's, the baselines' and the free figures.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

COLUMNS = {
    "aucPr": "AUC-PR",
    "f1": "F1",
    "far": "FAR",
    "mar": "MAR",
    "falseAlarmsPerDay": "false/day",
    "detected": "detected",
    "medianDelaySeconds": "delay s",
    "fdrAt1PercentFar": "FDR@1%",
    "fdrAt1PercentFarWithoutHard": "easy",
    "batadalS": "S",
    "hit1": "hit@1",
    "hit3": "hit@3",
    "hit5": "hit@5",
    "mrr": "MRR",
    "mrrWhenAlarmed": "MRR\\|alarm",
    "top1Within2Hops": "<=2 hops",
    "warnedBeforeControlSystem": "warned",
    "affectedF1": "affected F1",
    "onsetTau": "onset tau",
    "pathEdgeF1": "path F1",
}
FREE = {"aucPr": "randomAucPr", "f1": "allOnesF1", "affectedF1": "affectedF1AllDevices"}


def tables(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A heading and a table for each task, then the misses by kind of fault."""
    for result in results:
        yield f"\n### `{result['task']}`\n"
        yield _facts(result)
        chance = result["chance"]
        free = {key: chance.get(FREE.get(key, key)) for key in COLUMNS}
        rows = [("**this**", result["metrics"]), *result["baselines"].items(), ("for nothing", free)]
        keys = [key for key in COLUMNS if any(values.get(key) is not None for _, values in rows[:-1])]
        yield "| | " + " | ".join(COLUMNS[key] for key in keys) + " |"
        yield "|---" * (len(keys) + 1) + "|"
        for name, values in rows:
            yield f"| {name.removeprefix('baseline:')} | " + " | ".join(_cell(values.get(key)) for key in keys) + " |"
        yield from _by_kind(result["metrics"].get("byKind"))


def _facts(result: dict[str, Any]) -> str:
    verdict = "accepted" if result["valid"] else "REJECTED: " + ", ".join(result["rejectedFor"])
    remarks = "; ".join(result["remarks"]) or "none"
    return (
        f"Honesty checks: {verdict}; remarks: {remarks}. Trained in {result['trainSeconds']} s, "
        f"replayed at {result['eventsPerSecond']:,} events/s, start of the program included.\n"
    )


def _by_kind(kinds: dict[str, Any] | None) -> Iterator[str]:
    if not kinds:
        return
    yield "\n| kind of fault | faults | with an alarm | hit@1 | hit@3 | MRR |\n|---|---|---|---|---|---|"
    for kind, values in kinds.items():
        counts = f"{values['faults']:.0f} | {values['alarmedFaults']:.0f}"
        yield f"| {kind} | {counts} | {_cell(values['hit1'])} | {_cell(values['hit3'])} | {_cell(values['mrr'])} |"


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.0f}"


if __name__ == "__main__":
    print("\n".join(tables([json.loads(Path(name).read_text(encoding="utf-8").splitlines()[-1]) for name in sys.argv[1:]])))
