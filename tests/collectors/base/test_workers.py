"""Workers: never twice at once, once more if asked meanwhile, failures are told."""

import threading

from tokenergy_collectors.base.workers import Worker


class Slow:
    """A task that waits to be let go."""

    def __init__(self):
        self.runs = 0
        self.began = threading.Semaphore(0)
        self.go = threading.Semaphore(0)

    def __call__(self):
        self.runs += 1
        self.began.release()
        assert self.go.acquire(timeout=10)


def test_a_busy_worker_is_left_alone_or_runs_once_more():
    task, failures = Slow(), []
    worker = Worker(task, failures.append, inline=False)
    worker.ask()
    assert task.began.acquire(timeout=10)
    worker.ask()
    worker.ask(even_if_busy=True)
    worker.ask(even_if_busy=True)
    task.go.release(2)
    assert worker.finish(10)
    assert (task.runs, failures) == (2, [])
    worker.ask()
    assert task.runs == 2


def test_a_busy_worker_asked_in_passing_runs_once():
    task = Slow()
    worker = Worker(task, lambda error: None, inline=False)
    worker.ask()
    assert task.began.acquire(timeout=10)
    worker.ask()
    task.go.release(2)
    assert worker.finish(10)
    assert task.runs == 1


def test_a_worker_that_hangs_keeps_nobody():
    task = Slow()
    worker = Worker(task, lambda error: None, inline=False)
    worker.ask()
    assert task.began.acquire(timeout=10)
    assert not worker.finish(0.01)
    task.go.release()
    assert worker.finish(10)


def test_failures_are_told_and_the_worker_goes_on():
    for inline in (True, False):
        failures, told = [], threading.Semaphore(0)

        def fail():
            raise KeyError("x")

        def note(error, failures=failures, told=told):
            failures.append(repr(error))
            told.release()

        worker = Worker(fail, note, inline=inline)
        for _ in range(2):
            worker.ask(even_if_busy=True)  # the thread may still be on its way back
            assert told.acquire(timeout=10)
        assert worker.finish(10)
        assert failures == ["KeyError('x')"] * 2


def test_a_worker_never_asked_is_finished():
    assert Worker(lambda: None, print, inline=False).finish(None)
