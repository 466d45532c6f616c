"""`reports`: tokens that programs of this host count themselves, such as training loops.

In: reports on a Unix socket. Out: rows of `tokens`. A count is a series of its own: its labels are
the session and the rank that the program says, and the process and user that the kernel says.
"""

from __future__ import annotations

import pwd
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.lake.contract import HOUR_US, TOKENS
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.plan import Plan, Reader
from tokenergy_collectors.sources.reports.receiver import Latest, Receiver
from tokenergy_collectors.sources.reports.settings import ReportKeys
from tokenergy_collectors.sources.source import Source
from tokenergy_collectors.sources.tokens.epochs import Epochs
from tokenergy_collectors.sources.tokens.kinds import Value
from tokenergy_collectors.sources.tokens.page import labels_text

_METRIC = "tokenergy_report"


class TokenReports(Source[ReportKeys]):
    """Records what programs report."""

    name = "reports"
    keys = ReportKeys

    def __init__(self, config: ReportKeys, host: Host) -> None:
        super().__init__(config, host)
        self._receiver: Receiver | None = None
        self._reader: Reader | None = None
        self._epochs = Epochs()
        self._began_us: dict[str, int] = {}

    def begin(self) -> None:
        """Receive from now on."""
        settings = self.config.reports
        # An emulated node has no processes of its own.
        if settings.socket is not None and not self.host.emulated:
            self._receiver = Receiver(settings.socket, self.host.now_us, _uids(settings.users))

    def plan(self, plan: Plan) -> None:
        """Record the counts now and then."""
        if self.config.reports.socket is not None and not self.host.emulated:
            self._reader = plan.every(self.name, self.config.reports.every_s, self._record)

    def edge(self) -> None:
        """Record what has come until now."""
        if self._reader is not None:
            self._reader.ask()

    def finish(self, until_us: int) -> None:
        """Record what has come, and receive no more."""
        if self._receiver is not None:
            self._receiver.close()
            self._record()
            self._receiver = None

    def _record(self) -> str | None:
        if self._receiver is None:
            return None
        counts, refused = self._receiver.take()
        rows = [self._row(one) for one in counts]
        if rows:
            self.host.output.add("tokens", rows)
        for one in self._receiver.forget(self.host.now_us() - HOUR_US):
            series = _series_of(one)
            self._began_us.pop(series, None)
            self._epochs.forget(one.report.kind, _METRIC, series)
        return refused

    def _row(self, one: Latest) -> tuple[Any, ...]:
        report, series = one.report, _series_of(one)
        since_us = self._since_us(series, report.began_us, one.ts_us)
        value = Value(report.kind, _METRIC, series, report.total, (report.total,), 1, since_us)
        epoch, count = self._epochs.follow(value)
        return TOKENS.make_row(
            ts_us=one.ts_us, source_id=f"report:{report.source}", node=self.host.node,
            job_id=report.job_id, model=report.model, engine="", kind=report.kind, value=count,
            epoch=epoch, since_us=since_us, metric=_METRIC, series=series, quantum=1,
            run=self.host.run, cluster=report.cluster or self.host.cluster,
        )  # fmt: skip

    def _since_us(self, series: str, began_us: int, ts_us: int) -> int:
        """Return the stamp at which a count began: the same each time, whatever the clock does."""
        if series not in self._began_us:
            stamp_us = self.host.wall_steps.stamp_us(began_us, ts_us)
            self._began_us[series] = min(stamp_us, ts_us)
        return self._began_us[series]

    @classmethod
    def validate(cls, config: Any, *, emulated: bool) -> None:
        """Check that the users exist."""
        _uids(config.reports.users)

    @classmethod
    def check(cls, config: Any, host: Host) -> Iterator[Finding]:
        """Yield whether the socket can be used."""
        settings = config.reports
        if settings.socket is None:
            return
        if host.emulated:
            yield Finding("ok", cls.name, "not received on an emulated node")
            return
        try:
            _uids(settings.users)
        except UserError as error:
            yield Finding("FAIL", cls.name, str(error))
            return
        path = Path(settings.socket)
        if path.is_socket():
            yield Finding("ok", cls.name, f"{path}: is there; a daemon receives, or did")
        elif not path.parent.is_dir():
            yield Finding("FAIL", cls.name, f"{path.parent}: no such folder")
        else:
            yield Finding("ok", cls.name, f"{path}: will be made by `run`")


def _series_of(one: Latest) -> str:
    """Return the labels of a count, as `tokens.series` has them."""
    report, sender = one.report, one.sender
    return labels_text(
        {
            "pid": str(sender.pid),
            "rank": str(report.rank),
            "session": report.session,
            "uid": str(sender.uid),
        }
    )


def _uids(users: tuple[str, ...]) -> set[int]:
    """Return the ids of users.

    Raises:
        UserError: there is no such user.
    """
    found = set()
    for name in users:
        with suppress(KeyError):
            found.add(pwd.getpwnam(name).pw_uid)
            continue
        raise UserError(f"[reports] users: there is no user {name!r} on this host")
    return found
