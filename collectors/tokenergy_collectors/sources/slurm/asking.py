"""Asks Slurm about the jobs that need it: each once, and again when a job seems to have ended.

In: allocations. Out: their names and shares, and the ends of those whose epilog is lost. Runs in a
thread of its own: a busy slurmctld lets its askers wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tokenergy_collectors.base.backoff import Backoff
from tokenergy_collectors.sources.slurm import lost
from tokenergy_collectors.sources.slurm.held import Held
from tokenergy_collectors.sources.slurm.scontrol import (
    AskError,
    JobFacts,
    Run,
    UnreadableError,
    ask_job,
    ask_per_board,
    run_command,
)

_MOST_AT_ONCE = 20
_FIRST_WAIT_US = 2_000_000
_LAST_WAIT_US = 60_000_000
_FORGOTTEN_US = 300_000_000
"""Slurm forgets an ended job after MinJobAge, 300 s by default."""


class Asker:
    """Asks Slurm.

    Args:
        program: scontrol; nothing is asked if empty.
        node: this node, as Slurm calls it.
        per_board: shards of a board; None if Slurm has to tell.
        run: runs the program.

    Attributes:
        node: this node, as Slurm calls it.
        failure: why Slurm could not be asked the last time; None if it answered.
    """

    def __init__(
        self, program: str, node: str, per_board: int | None, run: Run = run_command
    ) -> None:
        self.node = node
        self.failure: str | None = None
        self._program = program
        self._run = run
        self._told: dict[str, int] = {} if per_board is None else {"shard": per_board}
        self._asked_node = False
        self._backoff = Backoff(_FIRST_WAIT_US, _LAST_WAIT_US)
        self._next_us = 0

    @property
    def asks(self) -> bool:
        """Whether Slurm is asked at all."""
        return bool(self._program)

    def unknown(self, held: Iterable[Held], now_us: int) -> list[Held]:
        """Return the allocations of which Slurm can tell more; a few at a time."""
        if not self.asks or now_us < self._next_us:
            return []
        found = [
            one
            for one in held
            if not one.asked and (one.end is None or now_us - one.end.end_us < _FORGOTTEN_US)
        ]
        return found[:_MOST_AT_ONCE]

    def facts(self, job_id: str, now_us: int) -> JobFacts | None:
        """Return what Slurm says of a job; None if it does not know it.

        Raises:
            AskError: it could not be asked; it is left alone for a while.
            UnreadableError: its answer cannot be read.
        """
        if not self.asks or now_us < self._next_us:
            raise AskError("Slurm is not asked now")
        try:
            facts = ask_job(self._program, job_id, self.node, self._run)
            self._ask_node(facts)
        except UnreadableError:
            raise  # it answers: the next job's answer may be better
        except AskError as error:
            self._next_us = now_us + round(self._backoff.failed())
            self.failure = str(error)
            raise
        self._backoff.worked()
        self.failure = None
        return facts

    def per_board(self) -> dict[str, int]:
        """Return the units of one board by kind, as far as they are known."""
        return dict(self._told)

    def decide(self, one: Held, now_us: int) -> Callable[[], bool]:
        """Return what decides whether a job without processes has ended, after asking Slurm."""
        try:
            facts = self.facts(one.job_id, now_us)
        except AskError:
            return lambda: lost.conclude_alone(one)
        return lambda: lost.conclude(one, facts, now_us)

    def _ask_node(self, facts: JobFacts | None) -> None:
        """Ask once how many units a board has, when a job has some."""
        if facts is None or self._asked_node or not (facts.parts or facts.shared):
            return
        self._told = {**ask_per_board(self._program, self.node, self._run), **self._told}
        self._asked_node = True
