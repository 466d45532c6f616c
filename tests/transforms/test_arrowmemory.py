"""Aggregation decodes into memory of the C library, unless the user wants another."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.lakes import T0, LakeBuilder, S, level

COMMAND = """
import sys
from tokenergy_sql.cli import app
app(["aggregate", "--lake", sys.argv[1]], standalone_mode=False)
import pyarrow
print(pyarrow.default_memory_pool().backend_name)
"""


@pytest.mark.parametrize(("chosen", "found"), [(None, "system"), ("mimalloc", "mimalloc")])
def test_the_command_takes_memory_from_the_system(
    tmp_path: Path, chosen: str | None, found: str
) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.power("A", level(300_000, T0, T0 + 3 * S))
    environ = {k: v for k, v in os.environ.items() if k != "ARROW_DEFAULT_MEMORY_POOL"}
    if chosen:
        environ["ARROW_DEFAULT_MEMORY_POOL"] = chosen
    command = [sys.executable, "-c", COMMAND, str(builder.lake.root)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == found
