"""Compares two sides and says whether HEAD costs more energy per token.

In: two sides and what is wanted. Out: an `Outcome` with the verdict and all that it follows from.

- `worse`: HEAD costs more by at least the threshold, and more than BASE even at the lower bound.
- `pass`: it does not, and the bounds are narrow enough that it would have been seen.
- `cannot_tell`: neither; `reasons` says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.gate.chance import Chance, chance_of
from tokenergy_sql.gate.meters import Card, bounds_of, cards_of, shared
from tokenergy_sql.gate.points import Bins, Load, Stratum, bins_of, strata_of, tokens_of
from tokenergy_sql.gate.ratio import columns_of, energy_j_of
from tokenergy_sql.gate.side import BLOCK_US, Grain, Sample, Side, grain_of

Verdict = Literal["pass", "worse", "cannot_tell"]

THRESHOLD = 0.005
RESOLUTION = 0.05
CONFIDENCE = 0.99
LEAST_SHARE = 0.5
"""The least share of HEAD's tokens that must be compared."""

REASONS = {
    "no_samples": "a side has no time in which both its energy and its tokens are known",
    "no_equal_points": "no operating point is on both sides with at least three samples each",
    "few_samples": "a side has fewer than six stretches of time at common operating points",
    "little_compared": "less than half of HEAD's tokens are at operating points that BASE has too",
    "chance": "results vary so much that such a regression would not be seen; run for longer",
    "meters": "the meters may be off by more; run both on the same boards, or calibrate them",
}
"""Why it cannot be told, in words."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for.

    Attributes:
        threshold: from which share on HEAD is worse.
        resolution: a share by which HEAD may be worse that must be seen, else nothing is told.
        confidence: of the interval that allows for chance, two-sided.
        load: whether tokens per second are an operating point.
    """

    threshold: float = THRESHOLD
    resolution: float = RESOLUTION
    confidence: float = CONFIDENCE
    load: Load = "open"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict and what it follows from.

    Attributes:
        verdict: see above.
        reasons: codes of `REASONS`; empty unless it cannot be told.
        base, head: the sides.
        wanted: what was asked for.
        grain: length of the samples.
        bins: where the bins lie.
        strata: operating points that are compared, those with most tokens first.
        left_out: those that are not.
        chance: the ratio and its interval by chance; None: not known.
        low, high: where the ratio is, chance and meters together; None: not known.
        meters: least and most of true over metered ratio.
        shared: share of HEAD's energy that meters of BASE's metered.
        compared: share of the tokens of BASE and of HEAD that is compared.
        j_per_token: what tokens of BASE and HEAD cost at the operating points compared.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    base: Side
    head: Side
    wanted: Wanted
    grain: Grain
    bins: Bins
    strata: Sequence[Stratum] = ()
    left_out: Sequence[Stratum] = ()
    chance: Chance | None = None
    low: float | None = None
    high: float | None = None
    meters: tuple[float, float] | None = None
    shared: float | None = None
    compared: tuple[float, float] = (0.0, 0.0)
    j_per_token: tuple[float, float] | None = None

    @property
    def ratio(self) -> float | None:
        """HEAD's energy over what BASE would have used."""
        return None if self.chance is None else self.chance.ratio

    @property
    def seen(self) -> float | None:
        """The least regression that would have been told, as a share; None: not known."""
        return None if self.chance is None or not self.low else self.chance.ratio / self.low - 1


def compare(base: Side, head: Side, wanted: Wanted) -> Outcome:
    """Compare two sides.

    Raises:
        UserError: a side has jobs that serve and jobs that train: their tokens are different goods.
    """
    grain = grain_of(base, head)
    samples = base.samples(grain), head.samples(grain)
    workloads = {one.setup.workload for side in samples for one in side}
    if len(workloads) > 1:
        raise UserError(
            "gate: generated and trained tokens do not compare; name jobs or a model that only "
            "serve or only train on both sides"
        )
    bins = bins_of(samples[0], wanted.load)
    every = strata_of(*samples, bins)
    strata = [one for one in every if one.counts]
    left_out = [one for one in every if not one.counts]

    def cannot_tell(*reasons: str, share: tuple[float, float] = (0.0, 0.0)) -> Outcome:
        return Outcome(
            "cannot_tell", reasons, base, head, wanted, grain, bins, strata, left_out,
            compared=share,
        )  # fmt: skip

    if not all(samples):
        return cannot_tell("no_samples")
    if not strata:
        return cannot_tell("no_equal_points")
    both = [one for s in strata for one in s.base], [one for s in strata for one in s.head]
    share = _share(both[0], base), _share(both[1], head)
    rate = wanted.load == "open" and workloads == {"inference"}
    length_us = BLOCK_US if grain == "five_minutes" else HOUR_US
    columns = columns_of(strata)
    chance = chance_of(*columns, len(strata), length_us, wanted.confidence, rate=rate)
    if chance is None:
        return cannot_tell("few_samples", share=share)
    cards = _cards(base, both[0], "BASE"), _cards(head, both[1], "HEAD")
    meters = bounds_of(*cards)
    slack = [sum(one.slack for one in side) / tokens_of(side) for side in both]
    low = chance.low * meters[0] * max(1 - slack[0], 0) / (1 + slack[1])
    high = chance.high * meters[1] * (1 + slack[0]) / max(1 - slack[1], 1e-9)
    reasons = _reasons(chance, low, share[1], wanted)
    worse = low > 1 and chance.ratio >= 1 + wanted.threshold and "little_compared" not in reasons
    return Outcome(
        "worse" if worse else "cannot_tell" if reasons else "pass",
        () if worse else reasons,
        base, head, wanted, grain, bins, strata, left_out, chance, low, high, meters,
        shared(*cards),
        share,
        (_j_per_token(both[0]), _j_per_token(both[1])),
    )  # fmt: skip


def _reasons(chance: Chance, low: float, head_share: float, wanted: Wanted) -> tuple[str, ...]:
    """Return why a regression that matters might not have been seen."""
    reasons = ["little_compared"] if head_share < LEAST_SHARE else []
    if low <= 0 or chance.ratio / low - 1 > wanted.resolution:
        by_chance = chance.ratio / chance.low - 1 > wanted.resolution / 2
        by_meters = low <= 0 or chance.low / low - 1 > wanted.resolution / 2
        reasons += ["chance"] * by_chance + ["meters"] * by_meters
    return tuple(reasons)


def _share(samples: Sequence[Sample], side: Side) -> float:
    # Five minutes that begin in an hour may have some tokens of the next.
    return min(tokens_of(samples) / max(side.tokens, 1), 1.0)


def _cards(side: Side, samples: Sequence[Sample], name: str) -> dict[str, Card]:
    return cards_of(side.cards, {one.hour for one in samples}, name)


def _j_per_token(samples: Sequence[Sample]) -> float:
    return energy_j_of(samples) / tokens_of(samples)
