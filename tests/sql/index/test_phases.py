"""Prefill and decode by regression: as NumPy finds it, beside what was planted, NULL elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.sql.oracles import phases as oracle
from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.ledger import ask, assert_checks_pass
from tests.support.servers import Floats, Server, serve
from tests.support.snapshot import snapshot
from tokenergy_collectors.lake import Lake
from tokenergy_sql.cli import app
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_sql.report.meanings import PHASE_REASONS

END_US = T0 + Server().seconds * S
FIGURES = ("te_gpu_prefill", "te_gpu_decode")


def saturates(prompt: Floats, generated: Floats) -> Floats:
    """Decode power that bends, as a growing batch makes it."""
    return 0.02 * prompt + 0.3 * generated - 0.3 * generated**2 / 4_000


def stalls(prompt: Floats, generated: Floats) -> Floats:
    """Decode power that hardly depends on the load: one more token costs next to nothing."""
    above: Floats = 0.02 * prompt + 300 * (1 - np.exp(-generated / 100))
    return above


TOLD = {
    "linear": Server(),
    "costly prompts": Server(prefill_j=0.08, decode_j=0.05, seed=2),
    "reads high": Server(gain=1.05, seed=3),
    "reads low": Server(gain=0.95, seed=4),
    "two hours": Server(seconds=7_230, seed=5),
    "counts late": Server(late_s=11, seed=7),
    "bends": Server(power=saturates, noise=0.001, seed=6),
}
NULL = {
    "never varies": (Server(swing=0, mix_swing=0), "constant_load"),
    "one mix": (Server(mix_swing=0), "collinear"),
    "nearly one mix": (Server(swing=0.95, mix_swing=0.16), "collinear"),
    "short": (Server(seconds=1_500), "few_windows,gap"),
    "noise": (Server(decode_j=0.005, noise=0.1), "wide"),
    "stalls": (Server(power=stalls), "wide,nonlinear"),
}


def serve_oddly(builder: LakeBuilder) -> None:
    """Servers of whose energy or tokens too little is known."""
    serve(builder, "half a board", Server(), share_ppm=500_000)
    serve(builder, "seen in part", Server(), sensor_kind="instant", name="H100", learned_us=100_000)
    serve(builder, "two boards", Server())
    builder.device("second", node="two boards", index=1)
    builder.power("second", level(60_000, T0, END_US), node="two boards")
    builder.job("two boards", "second", T0, END_US, node="two boards")
    serve(builder, "two meters", Server(), counter_gain=1.08)
    serve(builder, "coarse", Server(), quantum=1_000)
    serve(builder, "answers only", Server(), kinds=("generated",))
    serve(builder, "trains", Server(), kinds=("trained",))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    builder = LakeBuilder(tmp_path_factory.mktemp("phases") / "lake")
    for name, server in TOLD.items():
        serve(builder, name, server)
    for name, (server, _) in NULL.items():
        serve(builder, name, server)
    serve_oddly(builder)
    return builder.build()


@pytest.fixture(scope="module")
def rows(lake: Lake) -> dict[str, dict[str, Any]]:
    return {row["job_id"]: row for row in ask(lake, "FROM job_index")}


@pytest.mark.parametrize("name", TOLD)
def test_the_index_says_what_numpy_finds(rows: dict[str, dict[str, Any]], name: str) -> None:
    row, right = rows[name], oracle.tell(TOLD[name])
    # Gains are stored in millionths, and the last microsecond of a second is a ramp.
    for figure, expected in zip(FIGURES, (right.prefill, right.decode), strict=True):
        got = tuple(row[f"{figure}{bound}"] for bound in ("", "_low", "_high"))
        assert got == pytest.approx(expected, rel=2e-3)
    assert row["phase_base_w"] == pytest.approx(right.base_w, rel=1e-3)
    assert row["phase_residual"] == pytest.approx(right.residual, rel=1e-2)
    assert row["phase_method"] == "regression"
    assert row["phase_reasons"] == ("nonlinear" if right.bent else "")


@pytest.mark.parametrize("name", [name for name in TOLD if name != "bends"])
def test_what_was_planted_is_inside_the_bounds(rows: dict[str, dict[str, Any]], name: str) -> None:
    row, server = rows[name], TOLD[name]
    for figure, true_j in zip(FIGURES, (server.prefill_j, server.decode_j), strict=True):
        assert row[f"{figure}_low"] <= true_j <= row[f"{figure}_high"]
        assert row[f"{figure}_low"] < row[figure] < row[f"{figure}_high"]
        # The bounds say something: a gain of 5.5 % alone makes 11 %.
        widest = 0.4 if server.late_s == 1 else 1.6
        assert row[f"{figure}_high"] - row[f"{figure}_low"] < widest * true_j


def test_estimate_and_base_make_what_was_drawn(rows: dict[str, dict[str, Any]], lake: Lake) -> None:
    row = rows["linear"]
    (sums,) = ask(
        lake,
        "SELECT sum(e_uj)::DOUBLE / 1e6 AS j, sum(n_prompt) AS p, sum(n_generated) AS g, "
        "sum(device_us) AS us FROM phase_block WHERE job_id = 'linear'",
    )
    made_j = row["te_gpu_prefill"] * sums["p"] + row["te_gpu_decode"] * sums["g"]
    made_j += row["phase_base_w"] * sums["us"] / 1e6
    assert made_j == pytest.approx(sums["j"], rel=1e-6)
    assert row["phase_windows"] == 99
    assert row["phase_coverage"] == pytest.approx(0.99)
    assert_checks_pass(lake)


def test_where_the_slope_depends_on_the_load_the_bounds_hold_what_it_was(
    rows: dict[str, dict[str, Any]],
) -> None:
    row = rows["bends"]
    assert row["phase_reasons"] == "nonlinear"
    generated = oracle.windows(TOLD["bends"])[0][:, 2] / oracle.window_s(TOLD["bends"])
    slopes = 0.3 - 2 * 0.3 * generated / 4_000
    assert row["te_gpu_decode_low"] <= slopes.min() < slopes.max() <= row["te_gpu_decode_high"]


def test_base_power_is_that_of_a_device(rows: dict[str, dict[str, Any]]) -> None:
    """A second board draws 60 W whatever the tokens: they cost what they cost without it."""
    row, alone = rows["two boards"], rows["linear"]
    assert row["phase_base_w"] == pytest.approx((alone["phase_base_w"] + 60) / 2, rel=1e-4)
    for figure in FIGURES:
        assert row[figure] == pytest.approx(alone[figure], rel=1e-4)


def test_where_meters_dispute_either_may_be_right(rows: dict[str, dict[str, Any]]) -> None:
    """The counter shows 8 % more than the samples, which are those of "linear"."""
    row, of_samples = rows["two meters"], rows["linear"]
    assert "disputed" in row["method"]
    for figure in FIGURES:
        assert row[figure] == pytest.approx(1.08 * of_samples[figure], rel=2e-3)
        assert row[f"{figure}_low"] == pytest.approx(of_samples[f"{figure}_low"], rel=2e-3)
        assert row[f"{figure}_high"] == pytest.approx(1.08 * of_samples[f"{figure}_high"], rel=2e-3)


@pytest.mark.parametrize("name", NULL)
def test_null_where_it_cannot_be_told(rows: dict[str, dict[str, Any]], name: str) -> None:
    row = rows[name]
    assert row["te_gpu_decode"] is row["te_gpu_decode_low"] is row["te_gpu_decode_high"] is None
    assert row["phase_reasons"] == NULL[name][1]
    if NULL[name][1].startswith("wide"):
        return  # of a prompt token something may be known
    assert row["te_gpu_prefill"] is row["phase_base_w"] is None
    assert row["phase_method"] == "none"


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("half a board", "few_windows,gap,shared_estimate"),
        ("seen in part", "few_windows,gap,sampled_in_part"),
        ("coarse", "coarse_counter"),
        ("answers only", "no_prompt_counter"),
        ("trains", "not_inference"),
    ],
)
def test_null_where_too_little_is_known(
    rows: dict[str, dict[str, Any]], name: str, reasons: str
) -> None:
    assert (rows[name]["phase_method"], rows[name]["phase_reasons"]) == ("none", reasons)
    assert all(rows[name][figure] is None for figure in FIGURES)


def test_explain_prints_both_figures_and_why_others_are_missing(
    rows: dict[str, dict[str, Any]], lake: Lake
) -> None:
    def explained(job_id: str) -> str:
        done = CliRunner().invoke(app, ["explain", job_id, "--lake", str(lake.root)])
        assert done.exit_code == 0, done.output
        return done.output

    text = explained("linear")
    assert "prefill: J per computed prompt token 0.01992 [0.0186, 0.0214]" in text
    assert "decode: J per generated token 0.3004 [0.283, 0.320]" in text
    assert "estimated from 99 windows, beside 120.1 W a device" in text
    assert "constant_load: The load hardly varied" in explained("never varies")
    codes = {code for row in rows.values() for code in row["phase_reasons"].split(",") if code}
    assert codes < {*PHASE_REASONS}


def test_derived_again_the_bytes_are_the_same(lake: Lake) -> None:
    before = {name: data for name, (data, _) in snapshot(lake).items() if "phase_block" in name}
    assert before
    index(lake, Site(None, None, {}), progress=lambda _: None, rebuild_all=True, catalog=False)
    after = {name: data for name, (data, _) in snapshot(lake).items() if "phase_block" in name}
    assert after == before


def test_windows_in_a_silence_of_one_counter_do_not_count(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A minute of silence touches three windows, and two pairs."""
    builder = LakeBuilder(tmp_path_factory.mktemp("silence") / "lake")
    serve(builder, "s", Server(), silent_s=(1_000, 1_061))
    lake = builder.build()
    (found,) = ask(lake, "SELECT sum(windows) AS windows, sum(pairs) AS pairs FROM phase_block")
    assert found == {"windows": 99 - 3, "pairs": 49 - 2}
    (row,) = ask(lake, "FROM job_index")
    assert row["te_gpu_decode_low"] <= Server().decode_j <= row["te_gpu_decode_high"]
