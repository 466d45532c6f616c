"""Memory that was freed goes back to the system."""

import ctypes
import gc
import subprocess
import sys
from functools import cache

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

KEPT = """
import resource, sys
from tokenergy_collectors.base.memory import give_back_memory, keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def fill():
    before = faults()
    for _ in range(50):
        bytearray(8 << 20)  # above what the C library keeps by itself
    return faults() - before

system = fill()
keep_freed_memory()
keep_freed_memory()
fill()
kept = fill()
give_back_memory()
print(system, kept, fill())
"""

# mallopt and malloc_trim are of GNU's C library alone: elsewhere there is nothing to keep or give.
gnu = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this C library has no malloc_trim"
)


@gnu
def test_arrays_of_one_size_are_taken_from_the_system_once():
    done = subprocess.run([sys.executable, "-c", KEPT], check=True, capture_output=True, text=True)
    system, kept, after = map(int, done.stdout.split())
    assert kept * 20 < system
    assert kept * 20 < after, "all was given back"


@gnu
def test_what_was_freed_between_blocks_in_use_is_given_back():
    done = subprocess.run([sys.executable, "-c", FREED], check=True, capture_output=True, text=True)
    assert int(done.stdout) > 150


def test_another_c_library_needs_nothing(monkeypatch):
    for made in (memory._function, memory.keep_freed_memory):
        monkeypatch.setattr(memory, made.__name__, cache(made.__wrapped__))
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    memory.give_back_memory()
    memory.keep_freed_memory()
    assert memory._function("malloc_trim") is None


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
