"""Emulated boards for other programs, as the benchmarks need them.

In: a folder. Out: the environment in which a program finds eight boards that serve and train.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tokenergy_collectors.emulate.native.build import library_folder
from tokenergy_collectors.emulate.native.command import STATE_VARIABLE

BOARDS = 8


@contextmanager
def emulated_boards(folder: Path) -> Iterator[dict[str, str]]:
    """Serve the first node of the profile `demo`; yield the environment that shows it."""
    state = folder / "boards"
    command = [bin_path("tokenergy-collect"), "emulate", "demo", "--state", str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as feeder:
        assert feeder.stdout is not None
        try:
            while not feeder.stdout.readline().startswith(f"export {STATE_VARIABLE}"):
                if feeder.poll() is not None:
                    raise RuntimeError(
                        "the emulated boards did not start: `tokenergy-collect emulate demo` ended"
                    )
            # CodeCarbon asks whether there is an nvidia-smi before it asks NVML.
            smi = folder / "bin" / "nvidia-smi"
            smi.parent.mkdir()
            smi.write_text("#!/bin/sh\n")
            smi.chmod(0o755)
            yield {
                **os.environ,
                "LD_LIBRARY_PATH": str(library_folder()),
                "PATH": f"{smi.parent}:{os.environ['PATH']}",
                STATE_VARIABLE: str(state),
            }
        finally:
            feeder.terminate()


def bin_path(name: str) -> str:
    """Return the path of a command that is installed beside this Python."""
    return str(Path(sys.executable).parent / name)
