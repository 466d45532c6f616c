"""Cross spectra equal scipy's; shares add up; staggering turns phases against each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import coherence, csd, welch

from tokenergy_transforms.loadprofile import crossed, stagger

RATE_HZ = 10.0
AT = np.arange(6_000) / RATE_HZ


def segments(load: np.ndarray, cells: int = 500) -> crossed.Segments:
    return crossed.segments([load], 1 / RATE_HZ, cells)


def two_loads() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    common = np.sin(2 * np.pi * 0.7 * AT)
    return common + rng.normal(0, 0.3, len(AT)), 2 * common + rng.normal(0, 0.3, len(AT))


@pytest.mark.parametrize("cells", [500, 501])
def test_densities_are_scipys(cells: int) -> None:
    one, other = two_loads()
    given = {"fs": RATE_HZ, "window": "hann", "nperseg": cells, "noverlap": cells // 2}
    a, b = segments(one, cells), segments(other, cells)
    assert np.allclose(a.density(), welch(one, **given)[1], rtol=1e-9, atol=1e-15)
    assert np.allclose(a.cross(b), csd(one, other, **given)[1], rtol=1e-9, atol=1e-15)
    wanted = coherence(one, other, **given)[1][1:]
    found = np.abs(a.cross(b)) ** 2 / (a.density() * b.density())
    assert np.allclose(found[1:], wanted, rtol=1e-9)


def test_shares_of_parts_add_up_to_one() -> None:
    one, other = two_loads()
    rest = np.random.default_rng(3).normal(0, 1, len(AT))
    whole = segments(one + other + rest)
    bins = slice(30, 41)
    shares = [crossed.relation(segments(part), whole, bins).share for part in (one, other, rest)]
    assert sum(share for share in shares if share is not None) == pytest.approx(1, abs=1e-12)
    assert shares[1] == pytest.approx(2 / 3, abs=0.02)


def test_phase_and_amplitude_of_a_part() -> None:
    ahead = np.sin(2 * np.pi * 0.7 * AT + 0.5)
    whole = segments(3 * np.sin(2 * np.pi * 0.7 * AT))
    found = crossed.relation(segments(ahead), whole, slice(33, 38))
    assert found.phase == pytest.approx(0.5, abs=1e-3)
    assert found.amplitude_mw == pytest.approx(1, rel=1e-3)
    assert found.coherence == pytest.approx(1, abs=1e-3)
    still = crossed.relation(segments(np.ones(len(AT))), whole, slice(33, 38))
    assert (still.share, still.coherence) == (None, None)


def test_two_equal_jobs_in_phase_are_set_against_each_other() -> None:
    jobs = {"a": (2.0, 0.3), "b": (2.0, 0.3)}
    delays = stagger.delays_s(jobs, 0.5)
    assert delays == {"a": 0.0, "b": pytest.approx(1.0)}
    assert stagger.left_mw(jobs, delays, 0.5) == pytest.approx(0, abs=1e-12)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.floats(0.01, 10), st.floats(-3.1, 3.1)), min_size=1, max_size=12))
def test_what_is_left_is_never_more_than_the_largest(parts: list[tuple[float, float]]) -> None:
    jobs = {str(k): part for k, part in enumerate(parts)}
    delays = stagger.delays_s(jobs, 0.7)
    assert all(0 <= delay < 1 / 0.7 for delay in delays.values())
    largest = max(amplitude for amplitude, _ in parts)
    assert stagger.left_mw(jobs, delays, 0.7) <= largest * (1 + 1e-9)
