"""Who holds which part of a device: the same parts as in the ledger."""

from __future__ import annotations

from random import Random

import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.ledger import ask
from tests.support.long import seeds
from tokenergy_transforms.loadprofile.holders import Hold, tenures
from tokenergy_transforms.loadprofile.profile import profile_hour

WHOLE = 1_000_000


def parts(*holds: Hold) -> list[tuple[str, int, int, int]]:
    return [(t.job_id, t.start_us, t.end_us, t.share_ppm) for t in tenures(holds)]


def hold(job: str, start: int, end: int, share: int = WHOLE, mig: str | None = None) -> Hold:
    return Hold(job, mig, share, start, end, end)


def test_a_job_that_was_recorded_twice_holds_its_device_once() -> None:
    assert parts(hold("j", 0, 60), hold("j", 30, 60)) == [("j", 0, 60, WHOLE)]
    assert parts(hold("j", 0, 60, 5), hold("j", 30, 90, 9)) == [("j", 0, 30, 5), ("j", 30, 90, 9)]


def test_instances_add_up_and_an_instance_counts_once() -> None:
    found = parts(hold("j", 0, 9, 3, "a"), hold("j", 0, 9, 4, "b"), hold("j", 0, 9, 3, "a"))
    assert found == [("j", 0, 9, 7)]


def test_an_instance_of_a_board_that_is_held_whole_adds_nothing() -> None:
    whole, part, other = hold("j", 0, 9), hold("j", 0, 9, WHOLE // 2, "a"), hold("k", 0, 9)
    assert parts(whole, part) == [("j", 0, 9, WHOLE)]
    assert parts(whole, part, other) == [("j", 0, 9, WHOLE // 2), ("k", 0, 9, WHOLE // 2)]


def test_claims_beyond_the_whole_are_scaled_and_add_up_to_it() -> None:
    found = parts(hold("a", 0, 60), hold("b", 30, 90), hold("c", 30, 60, WHOLE // 2))
    assert sorted(found) == [
        ("a", 0, 30, WHOLE),
        ("a", 30, 60, 400_000),
        ("b", 30, 60, 400_000),
        ("b", 60, 90, WHOLE),
        ("c", 30, 60, 200_000),
    ]


def test_what_is_known_of_a_running_job_ends_before_its_hold() -> None:
    (one,) = tenures([Hold("j", None, WHOLE, 0, 100, 40)])
    assert (one.end_us, one.until_us) == (100, 40)
    (one,) = tenures([Hold("j", None, WHOLE, 20, 100, 5)])
    assert one.until_us == 20


@pytest.mark.parametrize("seed", seeds(5, always=2))
def test_load_profile_and_ledger_give_a_job_the_same_energy(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    rng = Random(seed)
    builder = LakeBuilder(tmp_path_factory.mktemp("lake"))
    for index, name in enumerate("AB"):
        builder.device(name, index=index, update_us=100_000)
        builder.power(name, level(100_000 * (index + 1), T0, T0 + 100 * S))
    for number in range(8):
        start, end = sorted(rng.sample(range(100), 2))
        share = rng.choice((WHOLE, WHOLE // 2, WHOLE // 3))
        job, device = rng.choice("jkl"), rng.choice("AB")
        span = (T0 + start * S, T0 + end * S)
        builder.job(job, device, *span, share_ppm=share, allocation_id=str(number))
    lake = builder.build()
    profile_hour(lake, T0, ("job",))
    booked = {row["job_id"]: row for row in ask(lake, "SELECT * FROM job_index")}
    loads = {row["group_id"]: row for row in lake.read("load_profile").to_pylist()}
    assert loads.keys() == booked.keys()
    for job, row in loads.items():
        # Edges move what a meter had not shown yet; the parts themselves agree to a millionth.
        assert float(row["energy_nj"]) == pytest.approx(float(booked[job]["e_gpu_nj"]), rel=2e-3)
        assert row["coverage"] == pytest.approx(booked[job]["coverage"])
