"""Whose swing it is: leave-one-out, shares and phases of planted jobs, what staggering saves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.sql.gridload.staged import END, board, lake_of, sine
from tests.support.lakes import T0, LakeBuilder
from tokenergy_sql.gridload.parts import places
from tokenergy_sql.gridload.sharing import Shared, share


def shared(builder: LakeBuilder, kind: str = "site") -> Shared:
    with places(builder.lake, kind, T0, END) as found:
        (place,) = found
        return share(place)


def test_the_place_without_a_job_is_the_exact_difference(tmp_path: Path) -> None:
    builder = lake_of(tmp_path)
    board(builder, "A", sine(400_000, 50_000, 0.7), "a", seed=1)
    board(builder, "B", sine(300_000, 20_000, 0.3), "b", seed=2, index=1)
    board(builder, "C", lambda t: 100_000, None, seed=3, index=2)
    with places(builder.lake, "rack", T0, END) as found:
        (place,) = found
        assert place.name == ("rack", "s/r")
        assert place.jobs == ("a", "b")
        whole, parts = place.course(), [place.part(job) for job in place.jobs]
        rest = whole.energy_nj - sum(part.energy_nj for part in parts)
        # C alone draws 100 W in every cell that is known.
        assert set((rest[whole.known] / whole.step_us).tolist()) == {100_000.0}


def test_each_job_s_part_of_rms_peak_and_swing(tmp_path: Path) -> None:
    builder = lake_of(tmp_path)
    board(builder, "A", sine(400_000, 80_000, 0.7), "large", seed=1)
    board(builder, "B", sine(300_000, 20_000, 0.7), "small", seed=2, index=1)
    board(builder, "C", lambda t: 100_000, "still", seed=3, index=2)
    found = shared(builder)
    assert found.figures is not None
    assert found.figures.rms_mw == pytest.approx(100_000 / 2**0.5, rel=0.02)
    assert found.figures.peak_mw == pytest.approx(900_000, rel=0.01)
    assert found.swing is not None
    assert found.swing.centre_hz == pytest.approx(0.7, abs=0.02)
    assert [one.job for one in found.jobs] == ["large", "small", "still"]
    by_job = {one.job: one for one in found.jobs}
    assert by_job["large"].without.rms_mw == pytest.approx(20_000 / 2**0.5, rel=0.03)
    assert by_job["large"].without.peak_mw == pytest.approx(420_000, rel=0.01)
    assert by_job["large"].swing_share == pytest.approx(0.8, abs=0.01)
    assert by_job["small"].swing_share == pytest.approx(0.2, abs=0.01)
    assert by_job["large"].coherence["0.5-1 Hz"] == pytest.approx(1, abs=0.01)
    assert by_job["still"].swing_share in (None, pytest.approx(0, abs=1e-6))
    total = sum(one.swing_share or 0 for one in found.jobs)
    assert total == pytest.approx(1, abs=1e-6)


def test_jobs_in_phase_gain_from_a_delay_of_half_a_period(tmp_path: Path) -> None:
    builder = lake_of(tmp_path)
    for k, job in enumerate(("a", "b")):
        board(builder, job, sine(400_000, 60_000, 0.5), job, seed=k, index=k)
    found = shared(builder)
    assert [one.delay_s for one in found.jobs] == [0.0, pytest.approx(1.0, abs=0.02)]
    assert found.swing_rms_mw == pytest.approx(120_000 / 2**0.5, rel=0.03)
    assert found.staggered_rms_mw is not None
    assert found.staggered_rms_mw < 0.05 * 120_000


def test_jobs_in_opposite_phase_have_nothing_to_gain(tmp_path: Path) -> None:
    builder = lake_of(tmp_path)
    board(builder, "A", sine(400_000, 60_000, 0.5), "a", seed=1)
    board(builder, "B", sine(400_000, 40_000, 0.5, np.pi), "b", seed=2, index=1)
    found = shared(builder)
    by_job = {one.job: one for one in found.jobs}
    assert by_job["a"].swing_share == pytest.approx(3, abs=0.1)
    assert by_job["b"].swing_share == pytest.approx(-2, abs=0.1)
    assert abs(by_job["b"].swing_phase or 0) == pytest.approx(0.5, abs=0.02)
    assert by_job["b"].without.rms_mw > (found.figures.rms_mw if found.figures else np.inf)
    assert found.staggered_rms_mw == pytest.approx(found.swing_rms_mw, rel=0.1)


def test_without_a_swing_there_is_none_and_why(tmp_path: Path) -> None:
    builder = lake_of(tmp_path)
    rng = np.random.default_rng(0)
    board(builder, "A", lambda t: 400_000 + rng.normal(0, 3_000), "a")
    found = shared(builder)
    assert found.swing is None
    assert "no_swing" in found.reasons
    assert found.staggered_rms_mw is None
