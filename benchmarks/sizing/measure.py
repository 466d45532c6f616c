"""Does a step of the measured hour in this process and prints what it took as a line of JSON.

`python -m benchmarks.sizing.measure STEP TRIAL SMALL LARGE`, each of the three a lake. A process of
its own, as a scheduled task is. All steps up to this one are first done on a copy of the lake
TRIAL, so that imports and compiled kernels are loaded. Then the step is timed on a small fleet and
on a large one. The step `before` is none of them: it derives the hour before on both.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.endtoend.measure import peak_mib
from benchmarks.scale.fleet import T0
from benchmarks.sizing.fleet import HOUR
from benchmarks.sizing.steps import BEFORE, COMPACT, DERIVING, STEPS, compacted
from tokenergy_collectors.lake import Lake


def timed(step: str, lake: Lake) -> dict[str, float]:
    """Do a step on a lake; return its seconds, and CPU seconds of all threads."""
    begin, used = time.perf_counter(), time.process_time()
    STEPS[step](lake, HOUR)
    return {"s": time.perf_counter() - begin, "cpu_s": time.process_time() - used}


def warm_up(step: str, trial: Path) -> None:
    """Derive what a copy of a lake has, up to a step."""
    with tempfile.TemporaryDirectory(prefix="bench-sizing-") as folder:
        lake = Lake(shutil.copytree(trial, Path(folder) / "lake"))
        for hour_us, names in ((T0, BEFORE), (HOUR, DERIVING)):
            for name in names:
                STEPS[name](lake, hour_us)
                if name == step:
                    break


def measured(step: str, trial: Lake, small: Lake, large: Lake) -> dict[str, Any]:
    """Do a step; return what it took, and the most memory that this process ever held.

    Args:
        step: one of `STEPS`, or `before`.
        trial: what the step is tried on first.
        small: a small fleet.
        large: a large one.
    """
    if step == "before":
        for lake in (small, large):
            for name in BEFORE:
                STEPS[name](lake, T0)
        return {}
    if step == COMPACT:
        compacted(small, T0)
        compacted(large, T0)
    else:
        warm_up(step, trial.root)
    took = {"small": timed(step, small), "large": timed(step, large)}
    return {**took, "peak_mib": peak_mib()}


def main() -> None:
    """Do the step that is named and print what it took."""
    step, *roots = sys.argv[1:]
    trial, small, large = map(Lake, roots)
    print(json.dumps(measured(step, trial, small, large)))


if __name__ == "__main__":
    main()
