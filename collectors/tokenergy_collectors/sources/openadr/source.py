"""`openadr`: polls OpenADR 2.0b servers, and records the events that they send.

In: servers. Out: rows of `grid_event`, one each time an event is new or changed. While a server
does not answer, it is asked again at the next poll; events that it still has are recorded then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.lake.contract import GRID_EVENT
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.openadr.rows import Event, rows_of
from tokenergy_collectors.sources.openadr.settings import OpenadrKeys, Vtn
from tokenergy_collectors.sources.plan import Plan, Task
from tokenergy_collectors.sources.source import Source

if TYPE_CHECKING:
    from tokenergy_collectors.sources.openadr.ven import Ven

_NOT_COMPARED = ("recorded_us", "node")


class OpenadrEvents(Source[OpenadrKeys]):
    """Records events of demand response.

    Raises:
        UserError: the package that speaks OpenADR is not installed.
    """

    name = "openadr"
    keys = OpenadrKeys

    def __init__(self, config: OpenadrKeys, host: Host) -> None:
        super().__init__(config, host)
        if config.openadr and not host.emulated:
            _require_package()
        self._vens: list[Ven] = []
        self._known: dict[tuple[str, str, int], dict[str, Any]] = {}

    def begin(self) -> None:
        """Look up what an earlier run recorded: a server sends its events again."""
        if self.config.openadr and self.host.lake is not None and not self.host.emulated:
            rows = self.host.lake.read("grid_event", node=self.host.node).to_pylist()
            for row in sorted(rows, key=lambda one: one["recorded_us"]):
                if row["source"] == self.name and row["vtn"] is not None:
                    self._remember(row)

    def plan(self, plan: Plan) -> None:
        """Poll each server at its own period, beside the sampling: it may not answer."""
        if self.host.emulated:  # an emulated node is at no utility
            return
        for vtn in self.config.openadr:
            plan.every(f"{self.name}/{vtn.name}", vtn.every_s, self._task(vtn), beside=True)

    def finish(self, until_us: int) -> None:
        """End the polls under way."""
        for ven in self._vens:
            ven.close()

    def _task(self, vtn: Vtn) -> Task:
        from tokenergy_collectors.sources.openadr.ven import NoAnswerError, Ven

        ven = Ven(vtn, lambda event, opt: self._take(vtn, event, opt))
        self._vens.append(ven)
        lost = False

        def poll() -> str | None:
            nonlocal lost
            try:
                ven.poll()
            except NoAnswerError as error:
                if not lost:
                    self.host.event("vtn_lost", None, f"{vtn.name}: {error}")
                lost = True
                return str(error)
            if lost:
                self.host.event("vtn_found", None, f"{vtn.name} answers again")
            lost = False
            return None

        return poll

    def _take(self, vtn: Vtn, event: Event, opt: str) -> None:
        """Record an event, if it says something else than the last time."""
        common: dict[str, Any] = {
            "opt": opt,
            "source": self.name,
            "vtn": vtn.name,
            "node": self.host.node,
        }
        common["recorded_us"] = self.host.now_us()
        try:
            rows = [{**row, **common} for row in rows_of(event, vtn.unit)]
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            self.host.warn(
                "error", None, f"{self.name}/{vtn.name}: an event is not read: {error!r}"
            )
            return
        fresh = [row for row in rows if not self._is_known(row)]
        if not fresh:
            return
        self.host.output.add("grid_event", [GRID_EVENT.make_row(**row) for row in rows])
        for row in rows:
            self._remember(row)
        first = rows[0]
        self.host.event(
            "grid_event",
            None,
            f"{vtn.name}: event {first['event_id']}, change {first['modification']}, "
            f"{first['status']}: answered {opt}",
        )

    def _remember(self, row: dict[str, Any]) -> None:
        self._known[_key(row)] = _said(row)

    def _is_known(self, row: dict[str, Any]) -> bool:
        return self._known.get(_key(row)) == _said(row)

    @classmethod
    def validate(cls, config: Any, *, emulated: bool) -> None:
        """Check that the package is installed.

        Raises:
            UserError: it is not.
        """
        if config.openadr and not emulated:
            _require_package()

    @classmethod
    def check(cls, config: Any, host: Host) -> Iterator[Finding]:
        """Yield whether each server answers now; events stay unasked for and unanswered."""
        from tokenergy_collectors.sources.openadr.ven import NoAnswerError, Ven

        for vtn in config.openadr:
            if host.emulated:
                yield Finding("ok", cls.name, "not polled on an emulated node")
                continue
            try:
                Ven(vtn, lambda *_: None).query()
            except NoAnswerError as error:
                yield Finding("warn", cls.name, f"{vtn.name}: {error}")
                continue
            yield Finding("ok", cls.name, f"{vtn.name}: answers; events get opt{vtn.opt.title()}")


def _key(row: dict[str, Any]) -> tuple[str, str, int]:
    return (row["vtn"], row["event_id"], row["interval"])


def _said(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row.get(name) for name in GRID_EVENT.column_names if name not in _NOT_COMPARED}


def _require_package() -> None:
    from importlib.util import find_spec

    if find_spec("openleadr") is None:
        raise UserError("openadr: openleadr is not installed: pip install 'tokenergy[openadr]'")
