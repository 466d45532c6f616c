"""`tokenergy load-profile` as a user runs it, what its page says, and the questions on it."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.swings import swinging
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.cli import app
from tokenergy_sql.terminal.output import Output
from tokenergy_sql.terminal.query import run_query
from tokenergy_transforms import choice
from tokenergy_transforms.loadprofile import profile

PAGE = (Path(__file__).parents[3] / "docs" / "load-profile.md").read_text("utf-8")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    builder = LakeBuilder(tmp_path_factory.mktemp("lake"))
    for k, node in enumerate(("n1", "n2")):
        builder.device(f"G{k}", node=node, site="s", rack="r1", update_us=100_000)
        builder.power(f"G{k}", swinging(0.7, 300, seed=k), node=node)
        builder.power(f"G{k}", level(90_000, T0 + 310 * S, T0 + 330 * S), node=node)
    builder.job("j", "G0", T0 + 10 * S, T0 + 200 * S)
    return builder.build()


def run(lake: Lake, *more: str) -> str:
    done = CliRunner().invoke(app, ["load-profile", "--lake", str(lake.root), *more])
    if done.exception is not None:
        raise done.exception
    return done.output


def test_it_prints_a_table_and_one_closing_line(lake: Lake) -> None:
    text = run(lake)
    assert text.splitlines()[0].strip() == "Load by group (emulated)"
    row = next(line for line in text.splitlines() if "node n1" in line)
    # 150 W of 474.4 W: 300 s at 500 W and 20 s at 90 W.
    assert [cell.strip() for cell in row.split("│")][9:12] == ["0.700", "31.6", "5.00"]
    assert text.splitlines()[-1] == "load-profile: 1 hours, 5 groups, 360,000 cells (cpu)"
    assert run(lake, "--by", "rack,site", "--step", "100ms", "--hour", "2026-01-15T08").endswith(
        "load-profile: 1 hours, 2 groups, 72,000 cells (cpu)\n"
    )
    with pytest.raises(UserError, match="hour 2026-01-15T05: not in the lake"):
        run(lake, "--hour", "2026-01-15T05")


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--by", "cluster", "--by 'cluster': expected job, node, rack, site, joined by commas"),
        ("--by", "", "--by '': expected job"),
        ("--step", "7ms", "--step '7ms': expected auto, or a duration of 1ms to 10s"),
        ("--step", "1m", "--step '1m': expected auto"),
        ("--device", "gpu", "--device 'gpu': expected auto, cpu or cuda"),
    ],
)
def test_what_cannot_be_used_is_one_line(lake: Lake, option: str, value: str, says: str) -> None:
    with pytest.raises(UserError) as error:
        run(lake, option, value)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_cuda_that_is_not_there_is_refused(lake: Lake) -> None:
    if choice.cuda_unusable() is None:
        pytest.skip("CUDA is there")
    with pytest.raises(UserError, match="--device cuda: "):
        run(lake, "--device", "cuda")


def test_auto_takes_cuda_for_much_and_never_a_metered_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = ["GPU-1", "GPU-2"]
    monkeypatch.setattr(choice, "cuda_unusable", lambda: None)
    monkeypatch.setattr(
        choice, "unmetered", lambda metered: [k for k, g in enumerate(gpus) if g not in metered]
    )
    taken: list[int] = []
    monkeypatch.setattr(profile, "_on_cuda", taken.append)
    much = profile.BREAK_EVEN_CELLS
    assert profile.spectra("auto", much, {"GPU-1"})[0] == "cuda"
    assert profile.spectra("auto", much - 1, set())[0] == "cpu"
    assert profile.spectra("auto", much, set(gpus))[0] == "cpu"
    assert profile.spectra("cpu", much, set())[0] == "cpu"
    assert profile.spectra("cuda", 1, {"GPU-1"})[0] == "cuda"
    assert profile.spectra("cuda", 1, set(gpus))[0] == "cuda"
    assert taken == [1, 1, 0]


def test_the_rest_copes_with_the_tables(lake: Lake) -> None:
    run(lake)
    assert [f.name for f in run_checks(lake, [T0]) if f.breach] == []
    assert lake.valid_files("load_spectrum", [T0])
    again = CliRunner().invoke(app, ["index", "--lake", str(lake.root)])
    assert again.output == "index: 1 job; nothing has changed in 1 hour\n"


def test_the_questions_of_the_page_can_be_asked(lake: Lake) -> None:
    run(lake)
    questions = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    assert len(questions) >= 3
    for sql in questions:
        out = io.StringIO()
        run_query(lake, sql, Output("json"), out)
        assert json.loads(out.getvalue()), sql


def test_the_page_names_every_column_and_reason() -> None:
    for table in (name for name in TABLES if name.startswith("load_")):
        for column in TABLES[table].columns:
            name = re.sub(r"_(100ms|1s|10s|60s)_", "_H_", column.name)
            assert f"`{name}`" in PAGE, column.name
    package = Path(choice.__file__).parent / "loadprofile"
    text = "".join(path.read_text("utf-8") for path in package.glob("*.py"))
    codes = set(re.findall(r'(?:add\(|reason = |reason, \w+ = |else )"([a-z_]+)"', text))
    assert {"above_nyquist", "no_line", "aliased", "not_metered"} <= codes
    for code in codes - {"open"}:
        assert f"`{code}`" in PAGE, code
