"""Points: what a counter of answered requests shows at an instant, and never more than is known."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.collectors.importers.benchmark.files import NINE_US, S
from tokenergy_collectors.importers.benchmark.clock import Span
from tokenergy_collectors.importers.benchmark.points import placed, points
from tokenergy_collectors.importers.benchmark.rows import quantile
from tokenergy_collectors.importers.benchmark.run import Answer, Run

HOUR = 3_600 * S


def answer(start_s: float, end_s: float, generated: int) -> Answer:
    return Answer(round(NINE_US + start_s * S), round(NINE_US + end_s * S), generated)


def run_of(answers: list[Answer], *, utc: bool = True) -> Run:
    total = sum(one.generated for one in answers)
    return Run("vllm", "run", total, len(answers), answers=answers, answers_are_utc=utc)


def counted(run: Run, span: Span) -> list[tuple[float, int, int]]:
    found = points(run.generated, span, placed(run, span), lambda one: one.generated)
    return [((one.ts_us - NINE_US) / S, one.value, one.quantum) for one in found]


def test_tokens_count_when_their_request_ends() -> None:
    run = run_of([answer(0, 2.5, 10), answer(1, 5, 20)])
    assert counted(run, Span(NINE_US, NINE_US + 5 * S)) == [
        (0, 0, 1), (2, 0, 1), (3, 10, 1), (4, 10, 1), (5, 30, 1)
    ]  # fmt: skip


def test_an_hour_that_begins_meanwhile_has_a_point_although_nothing_ended() -> None:
    run = run_of([answer(-1_800, -1_700, 10), answer(-1_800, 1_800, 20)])
    found = counted(run, Span(NINE_US - 1_800 * S, NINE_US + 1_800 * S))
    assert (0, 10, 1) in found
    assert len(found) < 10
    assert found[-1] == (1_800, 30, 1)


def test_without_requests_an_hour_s_edge_says_how_little_is_known() -> None:
    run = Run("vllm", "run", 1_000, 4)
    found = counted(run, Span(NINE_US - 900 * S, NINE_US + 2_700 * S))
    assert found == [(-900, 0, 1), (0, 250, 1_501), (2_700, 1_000, 1)]
    _, value, quantum = found[1]
    assert value - quantum // 2 <= 0
    assert value + quantum // 2 >= 1_000


def test_a_clock_without_a_zero_is_fixed_at_the_end() -> None:
    run = run_of([Answer(5 * S, 7 * S, 10), Answer(5 * S + 100, 9 * S, 20)], utc=False)
    span = Span(NINE_US, NINE_US + 4 * S)
    assert [one.end_us - NINE_US for one in placed(run, span)] == [2 * S, 4 * S]


def test_a_run_that_is_longer_than_its_requests_does_not_place_them() -> None:
    """Its last request failed: the end of the last answer is not that of the run."""
    run = run_of([Answer(5 * S, 7 * S, 10)], utc=False)
    assert placed(run, Span(NINE_US, NINE_US + 3 * S)) != []
    assert placed(run, Span(NINE_US, NINE_US + 3 * S + 1)) == []


SECONDS = st.floats(0, 7_200, allow_nan=False)


@given(st.lists(st.tuples(SECONDS, SECONDS, st.integers(0, 10_000)), min_size=1, max_size=40))
def test_points_only_grow_and_each_of_them_is_true(
    requests: list[tuple[float, float, int]],
) -> None:
    run = run_of([answer(min(a, b), max(a, b), n) for a, b, n in requests])
    span = Span(NINE_US - 1, max(one.end_us for one in run.answers))
    found = points(run.generated, span, placed(run, span), lambda one: one.generated)
    stamps = [one.ts_us for one in found]
    assert stamps == sorted(set(stamps))
    assert (stamps[0], stamps[-1]) == (span.start_us, span.end_us)
    for one in found:
        ended = sum(a.generated for a in run.answers if a.end_us <= one.ts_us)
        assert one.value == ended
    assert found[-1].value == run.generated
    assert set(range(NINE_US, span.end_us, HOUR)) <= {*stamps}


def test_a_quantile_is_linear_between_two_neighbours() -> None:
    assert quantile([10.0], 99) == 10.0
    assert quantile([10.0, 20.0], 50) == 15.0
    assert quantile([0.0, 1.0, 2.0, 3.0, 4.0], 99) == 3.96
