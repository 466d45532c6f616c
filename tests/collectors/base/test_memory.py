"""Memory that was freed goes back to the system."""

import ctypes
import gc
import subprocess
import sys

import pytest

from tokenergy_collectors.base import memory

FREED = """
import ctypes
from pathlib import Path
from tokenergy_collectors.base.memory import give_back_memory

def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20

blocks = [bytearray(64 << 10) for _ in range(3_200)]  # 200 MiB, each too small for a map of its own
del blocks[:-1]  # the last one holds the end of the heap
before = resident_mib()
give_back_memory()
print(before - resident_mib())
"""


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this C library has no malloc_trim"
)
def test_what_was_freed_between_blocks_in_use_is_given_back():
    done = subprocess.run([sys.executable, "-c", FREED], check=True, capture_output=True, text=True)
    assert int(done.stdout) > 150


def test_another_c_library_needs_nothing(monkeypatch):
    memory._malloc_trim.cache_clear()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    try:
        memory.give_back_memory()
        assert memory._malloc_trim() is None
    finally:
        memory._malloc_trim.cache_clear()


def test_old_objects_are_spared_in_a_block_alone():
    before = gc.get_freeze_count()
    with memory.old_objects_spared():
        assert gc.get_freeze_count() > before
        ring = []
        ring.append(ring)
        del ring
        assert gc.collect() > 0, "what is made in the block is looked through"
    assert gc.get_freeze_count() == 0


def test_they_are_looked_through_again_after_an_error():
    def fail():
        with memory.old_objects_spared():
            raise ValueError("in the block")

    with pytest.raises(ValueError, match="in the block"):
        fail()
    assert gc.get_freeze_count() == 0
