"""`check --only`: chosen checks alone find what they find among all; an unknown name is refused."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from typer.testing import CliRunner

from tests.support.lakes import T0, LakeBuilder, S, level
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.checks.texts import checks_by_name
from tokenergy_sql.cli import app


@pytest.fixture
def lake(tmp_path) -> Lake:
    """A board whose only booked row has lost a nanojoule."""
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A")
    builder.power("A", level(100_000, T0, T0 + 10 * S, S))
    lake = builder.build()
    rows = lake.read("ledger")
    less = pc.add(rows["energy_nj"], pa.scalar(1, pa.int64()))
    place = rows.schema.get_field_index("energy_nj")
    less = less.cast(rows.schema.field(place).type)
    lake.replace("ledger", rows.set_column(place, rows.schema.field(place), less), T0, "ledger")
    return lake


def test_each_check_alone_finds_what_it_finds_among_all(lake: Lake) -> None:
    every = run_checks(lake)
    assert [one.name for one in every] == [*checks_by_name()]
    assert any(one.breach for one in every)
    for one in every:
        assert run_checks(lake, only=[one.name]) == [one]


def test_the_command(lake: Lake) -> None:
    def check(*names: str) -> tuple[int, list[str]]:
        only = [word for name in names for word in ("--only", name)]
        result = CliRunner().invoke(app, ["check", "--lake", str(lake.root), *only])
        return result.exit_code, [line for line in result.output.splitlines() if line[0] != " "]

    code, lines = check()
    failed = [line.split()[1].rstrip(":") for line in lines if line.startswith("FAIL")]
    assert code == 1
    assert failed
    code, lines = check(failed[0], "clocks_agree")
    assert code == 1
    assert [line.split(":")[0].split()[-1] for line in lines] == sorted([failed[0], "clocks_agree"])
    assert check("clocks_agree")[0] == 0


def test_an_unknown_name_is_refused_and_the_known_ones_are_listed(lake: Lake) -> None:
    ran = CliRunner().invoke(app, ["check", "--lake", str(lake.root), "--only", "clock_agree"])
    assert isinstance(ran.exception, UserError)
    assert str(ran.exception).startswith("--only clock_agree: there is no such check; the checks")
    assert "clocks_agree" in str(ran.exception)
    with pytest.raises(ValueError, match="there is no check clock_agree"):
        run_checks(lake, only=["clock_agree"])
