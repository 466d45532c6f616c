"""A problem is reported when it is new or has changed, and when it is over."""

from tokenergy_collectors.base.problems import Problems


def test_a_problem_is_reported_once_until_its_reason_changes():
    problems = Problems()
    reasons = ["disk full", "disk full", "no such folder", "no such folder", "disk full"]
    assert [problems.is_new("log", why) for why in reasons] == [True, False, True, False, True]


def test_its_end_is_reported_once_and_it_may_begin_again():
    problems = Problems()
    assert not problems.is_over("log")
    assert problems.is_new("log", "disk full")
    assert [problems.is_over("log") for _ in range(2)] == [True, False]
    assert problems.is_new("log", "disk full")


def test_one_problem_says_nothing_about_another():
    problems = Problems()
    assert problems.is_new("log", "disk full")
    assert problems.is_new("sync", "disk full")
    assert problems.is_over("log")
    assert not problems.is_new("sync", "disk full")
