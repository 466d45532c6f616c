"""The verdict: pass, worse or cannot tell, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.sql.gate.planted import Runs, side_of
from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.gate.verdict import REASONS, Outcome, Wanted, compare

BASE = Runs(noise=0.003)
HEAD = replace(BASE, job="head", seed=2)


def judged(base: Runs, head: Runs, **wanted: Any) -> Outcome:
    return compare(side_of(base), side_of(head), Wanted(**wanted))


@pytest.mark.parametrize(
    ("cost", "verdict"), [(0.9, "pass"), (1.0, "pass"), (1.03, "worse"), (1.1, "worse")]
)
def test_planted_regressions(cost: float, verdict: str) -> None:
    outcome = judged(BASE, replace(HEAD, cost=cost))
    assert (outcome.verdict, outcome.reasons) == (verdict, ())
    assert outcome.low is not None
    assert outcome.high is not None
    assert outcome.low <= cost <= outcome.high


def test_below_the_threshold_it_passes_however_sure_it_is() -> None:
    head = replace(HEAD, cost=1.03)
    assert judged(BASE, head, threshold=0.05).verdict == "pass"
    assert judged(BASE, head, threshold=0.02).verdict == "worse"


def test_on_another_board_a_regression_of_its_class_cannot_be_told() -> None:
    outcome = judged(BASE, replace(HEAD, cost=1.03, board="GPU-2"))
    assert (outcome.verdict, outcome.reasons, outcome.shared) == ("cannot_tell", ("meters",), 0)
    # What is more than both meters can be off is told all the same.
    assert judged(BASE, replace(HEAD, cost=1.2, board="GPU-2")).verdict == "worse"
    assert judged(BASE, replace(HEAD, board="GPU-2"), resolution=0.2).verdict == "pass"


def test_noise_that_would_hide_a_regression_is_said() -> None:
    outcome = judged(replace(BASE, noise=0.2), replace(HEAD, noise=0.2))
    assert (outcome.verdict, outcome.reasons) == ("cannot_tell", ("chance",))
    assert outcome.seen is not None
    assert outcome.seen > 0.05


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (replace(HEAD, rate=2_000), "no_equal_points"),
        (replace(HEAD, blocks=4), "few_samples"),
        (replace(HEAD, limit_mw=500_000), "no_equal_points"),
    ],
)
def test_what_cannot_be_compared(head: Runs, code: str) -> None:
    outcome = judged(BASE, head)
    assert (outcome.verdict, outcome.reasons, outcome.ratio) == ("cannot_tell", (code,), None)


def test_a_part_of_head_that_base_has_not_is_listed_and_counted() -> None:
    base = side_of(BASE)
    head = side_of(HEAD, replace(HEAD, job="busy", rate=1_500, from_h=3))
    outcome = compare(base, head, Wanted())
    assert outcome.reasons == ("little_compared",)
    assert outcome.compared[1] == pytest.approx(0.25, abs=0.02)
    assert sum(len(one.head) for one in outcome.left_out) >= 24
    # However bad the quarter is that can be compared, it says nothing of the rest.
    bad = side_of(replace(HEAD, cost=1.2), replace(HEAD, job="busy", rate=1_500, from_h=3))
    assert compare(base, bad, Wanted()).verdict == "cannot_tell"


def test_a_side_without_samples() -> None:
    empty = replace(side_of(HEAD), blocks=[], hours=[
        row | {"left_out": "no_tokens", "tokens": 0} for row in side_of(HEAD).hours
    ])  # fmt: skip
    assert compare(side_of(BASE), empty, Wanted()).reasons == ("no_samples",)


def test_training_is_compared_by_the_hour_at_any_rate() -> None:
    base = Runs(workload="training", blocks=12 * 8, mix=0, noise=0.003)
    head = replace(base, job="head", seed=2, rate=450, cost=1.05)
    sides = [replace(side_of(one), blocks=[]) for one in (base, head)]
    outcome = compare(sides[0], sides[1], Wanted())
    assert (outcome.grain, outcome.bins.rate, outcome.verdict) == ("hour", None, "worse")
    # 120 W of base are spread over fewer tokens, and that is HEAD's own doing.
    true = 1.05 * (120 / 450 + 0.1) / (120 / 500 + 0.1)
    assert outcome.ratio == pytest.approx(true, rel=0.01)


def test_serving_and_training_are_not_added() -> None:
    train = replace(side_of(replace(HEAD, workload="training")), blocks=[])
    with pytest.raises(UserError, match="generated and trained tokens do not compare"):
        compare(side_of(BASE), train, Wanted())


def test_every_reason_has_words() -> None:
    assert all(text and text[0].islower() for text in REASONS.values())
