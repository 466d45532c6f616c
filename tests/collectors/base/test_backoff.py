"""Waits double from failure to failure, up to a limit, and start again after a success."""

from tokenergy_collectors.base.backoff import Backoff


def test_waits_double_up_to_the_limit():
    backoff = Backoff(first=0.5, limit=3.0)
    assert [backoff.failed() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert backoff.failures == 5


def test_a_success_starts_with_the_first_wait_again():
    backoff = Backoff(first=2, limit=100)
    waits = [backoff.failed(), backoff.failed()]
    backoff.worked()
    assert (waits, backoff.failures, backoff.failed()) == ([2, 4], 0, 2)


def test_many_failures_do_not_overflow():
    backoff = Backoff(first=1.0, limit=30.0)
    assert {backoff.failed() for _ in range(2_000)} == {1.0, 2.0, 4.0, 8.0, 16.0, 30.0}
