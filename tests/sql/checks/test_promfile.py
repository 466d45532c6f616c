"""`tokenergy check --prom`: what Prometheus is shown of the checks."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.books import books
from tests.support.commands import command
from tests.support.lakes import T0, LakeBuilder, S
from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks.texts import checks_by_name


@pytest.fixture
def root(tmp_path: Path) -> Path:
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A")
    builder.power("A", [(T0 + s * S, 500_000) for s in range(61)])
    builder.job("j", "A", T0, T0 + 60 * S)
    books(builder.lake)
    return tmp_path / "lake"


def shown(path: Path) -> dict[tuple[str, ...], float]:
    """Return the samples of a file by name and labels."""
    families = text_string_to_metric_families(path.read_text("utf-8"))
    samples = [sample for family in families for sample in family.samples]
    return {
        (one.name, *(one.labels[key] for key in sorted(one.labels))): one.value for one in samples
    }


def test_each_check_has_a_sample_and_a_breach_shows(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "tokenergy.prom"
    assert command("tokenergy", "check", "--lake", str(root), "--prom", str(out))[0] == 0
    found = shown(out)
    rows = {key[1:]: value for key, value in found.items() if key[0].endswith("rows")}
    assert {key[0] for key in rows} == set(checks_by_name())
    assert set(rows.values()) == {0}
    assert found["tokenergy_check_timestamp_seconds",] > 1.7e9

    lake = Lake(root)
    ledger = lake.read("ledger", [T0])
    place = ledger.column_names.index("energy_nj")
    more = [nj + 1 for nj in ledger["energy_nj"].to_pylist()]
    altered = ledger.set_column(place, ledger.schema.field(place), pa.array(more))
    lake.replace("ledger", altered, T0, "ledger")
    code, printed, _ = command("tokenergy", "check", "--lake", str(root), "--prom", str(out))
    failed = {line.split()[1].rstrip(":") for line in printed.splitlines() if "FAIL" in line[:5]}
    assert (code, bool(failed)) == (1, True)
    breaches = {key[1] for key, value in shown(out).items() if value and key[-1] == "true"}
    assert breaches == failed


def test_a_file_that_cannot_be_written_is_one_line(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "nowhere" / "tokenergy.prom"
    code, _, err = command("tokenergy", "check", "--lake", str(root), "--prom", str(out))
    assert (code, len(err.splitlines())) == (2, 1)
    assert str(out) in err
