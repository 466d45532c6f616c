"""Commands whose work is long refuse an unknown column before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.sql.terminal.test_screens_grid import results, shared_swings
from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.cli.commands import app
from tokenergy_sql.terminal import complytable, storagetable, swingtable
from tokenergy_sql.terminal.complytable import result_row
from tokenergy_sql.terminal.output import Output
from tokenergy_sql.terminal.swingtable import swing_rows


def test_the_columns_that_are_known_beforehand_are_those_of_rows() -> None:
    for row in swing_rows(shared_swings()):
        assert tuple(row) == swingtable.NAMES
    for result in results():
        assert tuple(result_row(result)) == complytable.NAMES


@pytest.mark.parametrize("output_format", ["table", "csv"])
@pytest.mark.parametrize("command", ["swings", "comply", "storage"])
def test_an_unknown_column_is_refused_before_the_work(
    command: str, output_format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        pytest.fail("the work began")

    monkeypatch.setattr("tokenergy_sql.gridsteps._opened", never)
    monkeypatch.setattr("tokenergy_sql.gridsteps.load_limits", never)
    monkeypatch.setattr("tokenergy_sql.terminal.storagetable.answer", never)
    limits = ["limits.toml"] if command == "comply" else []
    given = [command, *limits, "--lake", str(tmp_path), "--format", output_format]
    shown = CliRunner().invoke(app, [*given, "--columns", "emulated,watts"])
    assert isinstance(shown.exception, UserError)
    assert str(shown.exception).startswith("--columns 'watts': no such column; there are ")


@pytest.mark.parametrize(
    ("name", "known"),
    [("Rule kJ", True), ("rule_kwh", True), ("study_id", True), ("with_reserve_kwh", True),
     ("[low, high]", False)],
)  # fmt: skip
def test_columns_of_a_study_are_known_before_it(name: str, known: bool) -> None:
    output = Output(columns=(name,))
    if known:
        storagetable._require_columns(output)
        return
    with pytest.raises(UserError, match="no such column"):
        storagetable._require_columns(output)
