"""Memory that was freed is kept for what is asked for next."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from benchmarks import allocator

PROBE = """
import ctypes, resource, sys
from benchmarks.allocator import keep_freed_memory
keeps = len(sys.argv) > 1 and keep_freed_memory()
for turn in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = ctypes.create_string_buffer(b"x", 40 << 20)  # touches every page
    del block
print(int(keeps), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallopt"), reason="only glibc has the setting that is tested"
)
def test_what_is_freed_is_not_cleared_anew() -> None:
    def faults(*arguments: str) -> list[int]:
        command = [sys.executable, "-c", PROBE, *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return [int(word) for word in done.stdout.split()]

    without = faults()[1]
    keeps, within = faults("keep")
    assert keeps
    assert within < 0.1 * without


def test_a_library_without_the_setting_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda _name: object())
    assert not allocator.keep_freed_memory()
