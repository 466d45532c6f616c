"""Small lakes through the commands: books that are kept, looked at and asked, in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from tests.support.lakes import T0, LakeBuilder, S, level
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.cli import app
from tokenergy_transforms.aggregate import aggregate, worklist

JOBS = (
    "SELECT job_id, e_gpu_j, tokenergy, te_gpu_out, n_generated, reason_codes FROM job_index "
    "ORDER BY job_id"
)


def run(lake: Path, *arguments: str) -> tuple[int, list[str]]:
    """Run a command; return its exit code and lines, those of an error included."""
    result = CliRunner().invoke(app, [*arguments, "--lake", str(lake)])
    if isinstance(result.exception, UserError):
        assert "\n" not in str(result.exception)
        return 2, [f"error: {result.exception}"]
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output.splitlines()


def books(lake: Lake) -> dict[str, dict[str, Any]]:
    """Index and check a lake, neither may fail; return job_index by job."""
    for hour, node in worklist(lake):
        aggregate(lake, hour, node, S, "cpu")
    assert run(lake.root, "index")[0] == 0
    code, lines = run(lake.root, "check")
    assert code == 0, lines
    code, lines = run(lake.root, "query", "--format", "json", JOBS)
    assert code == 0
    return {row.pop("job_id"): row for row in json.loads("\n".join(lines))}


def look_at(lake: Lake) -> None:
    """Run the commands that show a lake; none may fail."""
    assert run(lake.root, "report", "--out", str(lake.root.parent / "report.html"))[0] == 0
    assert run(lake.root, "revisions")[0] == 0
    assert run(lake.root, "diff")[0] == 0


def codes(row: dict[str, Any]) -> set[str]:
    return set(row["reason_codes"].split(",")) - {"no_host_power"}


def watched(root: Path, *boards: str) -> LakeBuilder:
    """Boards that draw 100 W each for 100 s; A alone by default."""
    found = LakeBuilder(root)
    for number, name in enumerate(boards or ("A",)):
        found.device(name, index=number)
        found.power(name, level(100_000, T0, T0 + 100 * S, S))
    return found
