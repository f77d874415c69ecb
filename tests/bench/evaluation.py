"""Results of the evaluation kit as tables for docs/evaluation.md: `python -m tests.bench.evaluation RESULT...`.

A result is what the kit printed for a task; its last line is JSON: figures of the system, of the baselines and the free ones.
Results of one task with several seeds make one table, with the mean and the half width of its 95 % interval (Student's t).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from scipy.stats import t

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
    tasks: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        tasks.setdefault(result["task"], []).append(result)
    for task, runs in tasks.items():
        result = runs[0]
        yield f"\n### `{task}`\n"
        yield _facts(runs)
        chance = result["chance"]
        free = {key: chance.get(FREE.get(key, key)) for key in COLUMNS}
        own = [("**this**", result["metrics"])] if len(runs) == 1 else [*_mean_and_width([run["metrics"] for run in runs])]
        rows = [*own, *result["baselines"].items(), ("for nothing", free)]
        keys = [key for key in COLUMNS if any(values.get(key) is not None for _, values in rows[:-1])]
        yield "| | " + " | ".join(COLUMNS[key] for key in keys) + " |"
        yield "|---" * (len(keys) + 1) + "|"
        for name, values in rows:
            yield f"| {name.removeprefix('baseline:')} | " + " | ".join(_cell(values.get(key)) for key in keys) + " |"
        yield from _by_kind([run["metrics"].get("byKind") for run in runs])


def _mean_and_width(runs: Sequence[dict[str, Any]]) -> Iterator[tuple[str, dict[str, float]]]:
    values = {key: [run[key] for run in runs if run.get(key) is not None] for key in COLUMNS}
    known = {key: found for key, found in values.items() if len(found) > 1}
    quantile = float(t.ppf(0.975, len(runs) - 1))
    yield f"**this**, mean of {len(runs)} seeds", {key: mean(found) for key, found in known.items()}
    yield "± (95 %)", {key: quantile * stdev(found) / len(found) ** 0.5 for key, found in known.items()}


def _facts(runs: Sequence[dict[str, Any]]) -> str:
    rejected = sorted({reason for run in runs for reason in run["rejectedFor"]})
    verdict = "accepted" if all(run["valid"] for run in runs) else "REJECTED: " + ", ".join(rejected)
    remarks = "; ".join(sorted({remark for run in runs for remark in run["remarks"]})) or "none"
    return (
        f"Honesty checks: {verdict}; remarks: {remarks}. Trained in {mean(run['trainSeconds'] for run in runs):.0f} s, "
        f"replayed at {mean(run['eventsPerSecond'] for run in runs):,.0f} events/s, start of the program included.\n"
    )


def _by_kind(runs: Sequence[dict[str, Any] | None]) -> Iterator[str]:
    """Means over seeds."""
    kinds = [run for run in runs if run]
    if not kinds:
        return
    yield "\n| kind of fault | faults | with an alarm | hit@1 | hit@3 | MRR |\n|---|---|---|---|---|---|"
    for kind in kinds[0]:
        values = {key: mean(run[kind][key] for run in kinds) for key in ("faults", "alarmedFaults", "hit1", "hit3", "mrr")}
        counts = f"{values['faults']:.0f} | {values['alarmedFaults']:.1f}"
        yield f"| {kind} | {counts} | {_cell(values['hit1'])} | {_cell(values['hit3'])} | {_cell(values['mrr'])} |"


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.0f}"


if __name__ == "__main__":
    print("\n".join(tables([json.loads(Path(name).read_text(encoding="utf-8").splitlines()[-1]) for name in sys.argv[1:]])))
