"""Breaks one rule of the tool at a time, and says whether the oracle notices.

    python -m tests.oracle.mutations --workers 2

Each mutation replaces a text in one file of a copy of the tool; staged histories that have the rule
run against the copy, in a process of their own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from tests.oracle.mutation import Mutation
from tests.oracle.mutationlist import MUTATIONS

ROOT = Path(__file__).parents[2]
PARTS = ("collectors", "transforms", "sql")
HISTORIES = 16


@dataclass(frozen=True)
class Verdict:
    """What came of a mutation: found, missed, or broken (the tool does not run any more)."""

    mutation: Mutation
    result: str
    detail: str
    seconds: float


@contextmanager
def mutated(copy: Path, mutation: Mutation) -> Iterator[None]:
    """Change a copy of the tool, and change it back afterwards.

    Raises:
        ValueError: the text is not in the file, or more than once.
    """
    path = copy / mutation.file
    before = path.read_text()
    if before.count(mutation.old) != 1:
        times = before.count(mutation.old)
        raise ValueError(f"{mutation.file}: expected once, found {times} times: {mutation.old!r}")
    stamp = path.stat()
    path.write_text(before.replace(mutation.old, mutation.new))
    try:
        yield
    finally:
        path.write_text(before)
        # Compiled code of unchanged files is kept by their stamps.
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))


def judge(copy: Path, mutation: Mutation) -> Verdict:
    """Run staged histories against a mutated copy."""
    began = time.monotonic()
    paths = [*(str(copy / part) for part in PARTS), str(ROOT)]
    command = [sys.executable, "-m", "tests.oracle.run", "--having", mutation.having]
    command += ["--histories", str(HISTORIES), "--kinds", mutation.kinds]
    with mutated(copy, mutation):
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
    lines = (done.stdout + done.stderr).strip().splitlines() or [""]
    found = [line for line in lines if ": got " in line]
    result = "missed" if done.returncode == 0 else "found" if found else "broken"
    detail = found[0] if found else lines[-1]
    return Verdict(mutation, result, detail, time.monotonic() - began)


def run(mutations: list[Mutation], workers: int) -> list[Verdict]:
    """Judge mutations, with progress."""
    verdicts = []
    with tempfile.TemporaryDirectory() as folder:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(workers):
            copies.put(_copied(Path(folder) / str(number)))

        def one(mutation: Mutation) -> Verdict:
            copy = copies.get()
            try:
                return judge(copy, mutation)
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(workers) as pool:
            for number, verdict in enumerate(pool.map(one, mutations), 1):
                verdicts.append(verdict)
                name, took = verdict.mutation.name, verdict.seconds
                print(f"{number:2} of {len(mutations)} {verdict.result:6} {took:3.0f} s  {name}")
                print(f"        {verdict.detail[:150]}", flush=True)
    return verdicts


def _copied(copy: Path) -> Path:
    for part in PARTS:
        shutil.copytree(ROOT / part, copy / part)
    return copy


def main() -> int:
    """Run as the command line says; return 1 unless all mutations are found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", help="mutations whose name contains this text")
    asked = parser.parse_args()
    chosen = [m for m in MUTATIONS if not asked.only or asked.only in m.name]
    verdicts = run(chosen, asked.workers)
    found = sum(v.result == "found" for v in verdicts)
    print(f"{found} of {len(verdicts)} mutations found")
    return 0 if found == len(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
