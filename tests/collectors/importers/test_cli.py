from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.cli import app

Write = Callable[[str | bytes], Path]
RECORDED = Path(__file__).parents[2] / "data" / "wattameter_nvidia_smi.csv"


def run(*args: object, **env: str) -> str:
    result = CliRunner().invoke(app, [str(arg) for arg in args], env=env)
    if result.exception is not None:
        raise result.exception
    return result.output


def test_nvidia_smi(tmp_path: Path) -> None:
    args = ("nvidia-smi", RECORDED, "--lake", tmp_path / "lake", "--node", "n1")
    assert run(*args).splitlines() == [
        "read 560 readings of 4 devices, 2025-10-07 09:38:40 to 2025-10-07 09:38:54 UTC",
        "wrote 4 device, 560 power, 560 state rows in 3 files",
    ]
    assert run(*args).splitlines()[1:] == ["already imported: nothing changed"]
    assert "07:38:40" in run(*args[:3], tmp_path / "other", *args[4:], "--tz", "Europe/Berlin")


def test_counters_names_what_it_left_out(tmp_path: Path, write: Write) -> None:
    path = write("timestamp,generation_tokens,x\n1768464000,1,2\n1768464060,5,2\n17684640")
    args = ("counters", path, "--node", "n1", "--job", "7", "--model", "m")
    assert run(*args, TOKENERGY_LAKE=str(tmp_path / "lake")).splitlines() == [
        "read 2 counter readings of job 7, 2026-01-15 08:00:00 to 2026-01-15 08:01:00 UTC; "
        "skipped columns: x; skipped the last line: it is cut off",
        "wrote 2 tokens rows in 1 file",
    ]


def test_jobs(tmp_path: Path, write: Write) -> None:
    path = write("job_id,node,device,start,end\nj,n1,0,1768464000,\n")
    assert run("jobs", path, "--lake", tmp_path / "lake").splitlines() == [
        "read 1 allocation of 1 device, 2026-01-15 08:00:00 to 2026-01-15 08:00:00 UTC",
        "wrote 1 jobs rows in 1 file",
    ]


def test_user_errors_go_up_to_main(tmp_path: Path, write: Write) -> None:
    with pytest.raises(UserError, match="is empty"):
        run("jobs", write(""), "--lake", tmp_path / "lake")


@pytest.mark.parametrize("command", ["nvidia-smi", "dcgm", "counters", "jobs", "meters"])
def test_help_has_an_example(command: str) -> None:
    assert f"Example: tokenergy-collect import {command}" in run(command, "--help")


def test_large_file_shows_a_bar_to_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokenergy_collectors.importers.cli._BAR_FROM_BYTES", 1)
    monkeypatch.setattr("tokenergy_collectors.importers.cli._is_watched", lambda: True)
    output = run("nvidia-smi", RECORDED, "--lake", tmp_path / "lake", "--node", "n1")
    assert "read 560 readings" in output
