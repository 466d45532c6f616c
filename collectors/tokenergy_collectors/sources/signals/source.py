"""`signals`: carbon intensity and prices of the grid, asked of their providers.

In: answers over the internet. Out: rows of `signal`: those that say something new. While a provider
gives no answer there are no rows, which is a hole, and one event says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.lake.newsignals import Value, hours_for
from tokenergy_collectors.lake.signalcourse import pieces_of
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.meters.secret import SecretError
from tokenergy_collectors.sources.plan import Plan, Task
from tokenergy_collectors.sources.signals import clients
from tokenergy_collectors.sources.signals.answers import Answer, AnswerError
from tokenergy_collectors.sources.signals.settings import SignalKeys, SignalSource
from tokenergy_collectors.sources.source import Source

_BACK_US = 86_400_000_000
"""What is asked for begins a day ago: providers correct their values, and outages end."""

_AHEAD_US = 172_800_000_000
"""Day-ahead prices are known until the end of tomorrow."""

_LONGEST_WAIT_US = 3_600_000_000


class Asker:
    """Asks for one signal.

    Args:
        source: the signal.
        host: takes rows and events.
    """

    def __init__(self, source: SignalSource, host: Host) -> None:
        self.source, self._host = source, host
        self._told: dict[tuple[int, int], tuple[int | None, str | None]] | None = None
        self._failures = 0
        self._next_us = 0
        self._why: str | None = None

    def ask(self) -> str | None:
        """Ask once, unless the last failures say to wait; return why there is no answer."""
        now_us = self._host.now_us()
        if now_us < self._next_us:
            return self._why
        until_us = now_us + (_AHEAD_US if self.source.quantity == "price" else 0)
        try:
            answer = clients.ask(self.source, now_us - _BACK_US, until_us)
        except (AnswerError, SecretError) as error:
            return self._lost(str(error), now_us)
        self._found()
        self._record(answer, now_us)
        return None

    def _lost(self, why: str, now_us: int) -> str:
        """Note that there is no answer: the next question waits 1, 2, 4 ... periods, up to 1 h."""
        self._failures += 1
        # Half a period less, so that the question of the period itself is not left out.
        periods = 2 ** min(self._failures - 1, 10) - 0.5
        wait_us = round(self.source.every_s * 1_000_000 * periods)
        self._next_us = now_us + min(wait_us, _LONGEST_WAIT_US)
        if self._why is None:
            self._host.event("signal_lost", None, f"{self.source.about} {why}")
        self._why = f"{self.source.provider} {why}"
        return self._why

    def _found(self) -> None:
        if self._why is not None:
            self._host.event("signal_found", None, f"{self.source.about} answers again")
        self._failures, self._next_us, self._why = 0, 0, None

    def _record(self, answer: Answer, now_us: int) -> None:
        if self._told is None:
            self._told = self._of_lake(now_us)
        fresh = [one for one in answer.values if self._told.get(one[:2], ()) != one[2:]]
        self._told.update((one[:2], one[2:]) for one in fresh)
        self._host.output.add("signal", [self._row(answer, one, now_us) for one in fresh])
        oldest_us = now_us - 2 * _BACK_US
        self._told = {span: told for span, told in self._told.items() if span[1] > oldest_us}

    def _row(self, answer: Answer, one: Value, now_us: int) -> tuple[Any, ...]:
        return answer.name.row(one, self._host.node, self.source.provider, now_us)

    def _of_lake(self, now_us: int) -> dict[tuple[int, int], tuple[int | None, str | None]]:
        """Return what an earlier run recorded already."""
        if self._host.lake is None:
            return {}
        hours = hours_for(now_us - 2 * _BACK_US, now_us + _AHEAD_US)
        rows = self._host.lake.read("signal", hours).to_pylist()
        key = self.source.name, self.source.quantity
        own = [row for row in rows if (row["signal"], row["quantity"]) == key]
        return {
            (one.from_us, one.until_us): (one.row["value"], one.row["status"])
            for one in pieces_of(own)
        }


class Signals(Source[SignalKeys]):
    """Asks providers for signals of the grid."""

    name = "signals"
    keys = SignalKeys

    def plan(self, plan: Plan) -> None:
        """Ask for each signal at its own period, beside the sampling: it may take long."""
        for source in () if self.host.emulated else self.config.signal_source:
            task: Task = Asker(source, self.host).ask
            plan.every(f"{self.name}/{source.name}", source.every_s, task, beside=True)

    @classmethod
    def validate(cls, config: Any, *, emulated: bool) -> None:
        """Check that the providers' clients are there.

        Raises:
            UserError: one is not.
        """
        for source in () if emulated else config.signal_source:
            clients.load(source)

    @classmethod
    def check(cls, config: Any, host: Host) -> Iterator[Finding]:
        """Yield how many values each provider has now, or why it has none."""
        for source in config.signal_source:
            if host.emulated:
                yield Finding("ok", cls.name, f"{source.about}: not asked on an emulated node")
                continue
            now_us = host.now_us()
            try:
                clients.load(source)
                answer = clients.ask(source, now_us - _BACK_US, now_us)
            except (AnswerError, SecretError) as error:
                yield Finding("warn", cls.name, f"{source.about} {error}")
                continue
            known = sum(one[2] is not None for one in answer.values)
            yield Finding("ok", cls.name, f"{source.about}: {known} values of the last day")
