"""The course of a load over several hours, against fractions; hours join, chunks are the same."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.oracle import exact_energy
from tokenergy_collectors.base.errors import UserError
from tokenergy_transforms.loadprofile.course import LoadCourse, course_chunks, load_course
from tokenergy_transforms.loadprofile.groups import KINDS
from tokenergy_transforms.loadprofile.profile import profile_hour

EDGE = T0 + HOUR_US
Rows = list[tuple[int, int]]


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    return LakeBuilder(tmp_path / "lake")


def uneven(rng: random.Random, start_us: int, end_us: int, most_mw: int = 700_000) -> Rows:
    """Readings about every 100 ms, none at a cell's edge on purpose."""
    rows, t = [], start_us
    while t < end_us:
        rows.append((t, rng.randrange(most_mw)))
        t += rng.randrange(60_000, 140_000)
    return rows


def integral_nj(rows: Rows, a: int, b: int) -> int:
    """Energy from a to b by the definition: the integral of each pair, cut off, at both edges."""
    total = 0
    for (t0, p0), (t1, p1) in pairwise(rows):
        lo, hi = max(t0, a), min(t1, b)
        if lo < hi:
            total += math.floor(exact_energy(p0, p1, t1 - t0, hi - t0))
            total -= math.floor(exact_energy(p0, p1, t1 - t0, lo - t0))
    return total


def oracle(devices: Sequence[Rows], start_us: int, step_us: int, count: int) -> list[int]:
    edges = range(start_us, start_us + count * step_us, step_us)
    return [sum(integral_nj(rows, a, a + step_us) for rows in devices) for a in edges]


def plant(builder: LakeBuilder, devices: dict[str, Rows], **more: object) -> None:
    for k, (name, rows) in enumerate(devices.items()):
        builder.device(name, index=k, update_us=100_000, site="s", **more)
        # As the collector does: files of an hour hold that hour's readings.
        for part in (
            [row for row in rows if row[0] < EDGE],
            [row for row in rows if EDGE <= row[0] < EDGE + HOUR_US],
            [row for row in rows if row[0] >= EDGE + HOUR_US],
        ):
            if part:
                builder.power(name, part)


@pytest.mark.parametrize("seed", range(4))
def test_cells_are_the_integral_also_across_the_edge_of_an_hour(
    builder: LakeBuilder, seed: int
) -> None:
    rng = random.Random(seed)
    devices = {name: uneven(rng, EDGE - 8 * S, EDGE + 8 * S) for name in ("A", "B", "C")}
    plant(builder, devices)
    course = load_course(builder.lake, "site", "s", EDGE - 7 * S, EDGE + 7 * S)
    assert (course.step_us, course.start_us, course.end_us) == (50_000, EDGE - 7 * S, EDGE + 7 * S)
    assert course.known.all()
    assert course.breaks == ()
    assert course.energy_nj.tolist() == oracle(list(devices.values()), EDGE - 7 * S, 50_000, 280)
    whole = sum(integral_nj(rows, EDGE - 7 * S, EDGE + 7 * S) for rows in devices.values())
    assert int(course.energy_nj.sum()) == whole


def test_the_cells_of_an_hour_are_those_of_its_profile(builder: LakeBuilder) -> None:
    rng = random.Random(9)
    plant(builder, {name: uneven(rng, EDGE - 300 * S, EDGE + 200 * S) for name in ("A", "B")})
    builder.job("j", "A", EDGE - 100 * S + 13, EDGE + 50 * S + 17, share_ppm=333_333)
    for kind, name in (("site", "s"), ("node", "n1"), ("job", "j")):
        course = load_course(builder.lake, kind, name, T0, EDGE + HOUR_US)
        for hour_us, part in ((T0, slice(0, 72_000)), (EDGE, slice(72_000, None))):
            profile_hour(builder.lake, hour_us, KINDS)
            rows = builder.lake.read("load_profile", [hour_us]).to_pylist()
            (row,) = (r for r in rows if (r["kind"], r["group_id"]) == (kind, name))
            assert sum(course.energy_nj[part].tolist()) == row["energy_nj"]
            assert int(course.known[part].sum()) == row["cells"]
            assert row["max_mw"] == pytest.approx(np.nanmax(course.power_mw[part]), rel=1e-12)


def same(a: LoadCourse, parts: list[LoadCourse]) -> bool:
    energy = np.concatenate([part.energy_nj for part in parts])
    known = np.concatenate([part.known for part in parts])
    return np.array_equal(a.energy_nj, energy) and np.array_equal(a.known, known)


def test_chunks_laid_end_to_end_are_the_course(builder: LakeBuilder) -> None:
    rng = random.Random(3)
    plant(builder, {"A": uneven(rng, EDGE - 30 * S, EDGE + HOUR_US + 30 * S)})
    span = (EDGE - 20 * S + 7, EDGE + HOUR_US + 20 * S + 7)
    whole = load_course(builder.lake, "node", "n1", *span, 100_000)
    parts = list(course_chunks(builder.lake, "node", "n1", *span, 100_000))
    assert len(parts) == 3
    assert same(whole, parts)
    # Only cells that are wholly inside.
    assert (whole.start_us, whole.end_us) == (span[0] - 7 + 100_000, span[1] - 7)
    assert [p.start_us for p in parts[1:]] == [p.end_us for p in parts[:-1]]


def test_hours_without_readings_are_unknown_and_wait_for_the_step(builder: LakeBuilder) -> None:
    plant(builder, {"A": uneven(random.Random(1), EDGE + 10 * S, EDGE + 20 * S)})
    course = load_course(builder.lake, "site", "s", T0, EDGE + 2 * HOUR_US)
    assert (course.step_us, len(course.known)) == (50_000, 3 * 72_000)
    assert not course.known[:72_000].any()
    assert not course.known[144_000:].any()
    assert course.known.sum() > 100
    assert np.isnan(course.power_mw[0])
    parts = list(course_chunks(builder.lake, "site", "s", T0, EDGE + 2 * HOUR_US))
    assert same(course, parts)
    assert parts[0].reasons == ("not_metered",)
    assert (parts[0].period_us, parts[0].limit_hz) == (None, None)


def test_a_device_that_falls_silent_for_an_hour_breaks_the_course(builder: LakeBuilder) -> None:
    """300 W of B end with its last reading: the load of A alone is no fall of the load."""
    plant(
        builder,
        {
            "A": level(100_000, EDGE - 10 * S, EDGE + 10 * S),
            "B": level(300_000, EDGE - 10 * S, EDGE - 100_000),
        },
    )
    site = load_course(builder.lake, "site", "s", EDGE - 5 * S, EDGE + 5 * S)
    assert site.breaks == (100,)
    assert "devices_changed" in site.reasons
    (before, after) = course_chunks(builder.lake, "site", "s", EDGE - 5 * S, EDGE + 5 * S)
    assert (before.breaks, after.breaks) == ((), (0,))


def test_an_allocation_that_ends_at_the_hour_breaks_nothing(builder: LakeBuilder) -> None:
    rows = level(100_000, EDGE - 10 * S, EDGE + 10 * S)
    plant(builder, {"A": rows, "B": rows, "C": level(1_000, EDGE - 10 * S, EDGE - S)})
    builder.job("j", "A", EDGE - 8 * S, EDGE + 8 * S)
    builder.job("j", "B", EDGE - 8 * S, EDGE)
    job = load_course(builder.lake, "job", "j", EDGE - 9 * S, EDGE + 9 * S)
    assert job.breaks == ()
    assert job.known.tolist() == [False] * 20 + [True] * 320 + [False] * 20
    assert set(job.power_mw[job.known]) == {200_000.0, 100_000.0}
    assert set(job.energy_nj[~job.known].tolist()) == {0}
    builder.job("k", "A", EDGE - 8 * S, EDGE + 8 * S)
    builder.job("k", "C", EDGE - 8 * S, EDGE + 8 * S)
    silent = load_course(builder.lake, "job", "k", EDGE - 9 * S, EDGE + 9 * S)
    assert len(silent.breaks) == 1
    assert "unmetered_devices" in silent.reasons


def test_what_cannot_be_a_course_is_an_error(builder: LakeBuilder) -> None:
    plant(builder, {"A": level(100_000, EDGE - S, EDGE + S)})
    for kind, name, until_us, step_us, words in (
        ("hall", "s", EDGE, None, "expected job, node"),
        ("site", "other", EDGE, None, "knows nothing"),
        ("site", "s", T0, None, "not empty"),
        ("site", "s", EDGE, 70_000, "divides an hour"),
        ("site", "s", T0 + 10, None, "shorter than a cell"),
    ):
        with pytest.raises(UserError, match=words):
            load_course(builder.lake, kind, name, T0, until_us, step_us)
