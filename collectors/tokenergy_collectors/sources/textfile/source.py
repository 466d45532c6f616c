"""`textfile`: host meters that scripts write into files.

In: a folder of *.prom files. Out: rows of `host`, stamped with the time at which the file was
written. A file that was not rewritten since the last look adds no row, since its values are old.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.paths import hour_of
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.plan import Plan
from tokenergy_collectors.sources.source import Source
from tokenergy_collectors.sources.textfile.parse import MeterReading, parse_meters
from tokenergy_collectors.sources.textfile.settings import TextfileKeys

_MOST_BYTES = 1 << 20
_AHEAD_US = 1_000_000
"""How far a file's time may be ahead of the clock: file systems round it."""


class Textfiles(Source[TextfileKeys]):
    """Reads the *.prom files of one folder."""

    name = "textfile"
    keys = TextfileKeys

    def __init__(self, config: TextfileKeys, host: Host) -> None:
        super().__init__(config, host)
        self._read_us: dict[Path, int] = {}
        self._recorded: set[tuple[str, int]] = set()

    def begin(self) -> None:
        """Look up what an earlier run recorded of the files as they are now."""
        if self.config.textfile.folder is not None and self.host.lake is not None:
            hour_us = hour_of(self.host.now_us())
            oldest_us = hour_of(hour_us - round(self.config.textfile.stale_s * 1_000_000))
            rows = self.host.lake.read(
                "host",
                range(oldest_us, hour_us + 1, HOUR_US),
                node=self.host.node,
                columns=["domain", "ts_us"],
            )
            stamps = rows["ts_us"].to_pylist()
            self._recorded = set(zip(rows["domain"].to_pylist(), stamps, strict=True))

    def plan(self, plan: Plan) -> None:
        """Look at the folder now and then; beside the sampling, since it may be on a slow disk."""
        settings = self.config.textfile
        # The files are written by the clock of this host, which an emulated node does not have.
        if settings.folder is not None and not self.host.emulated:
            folder = Path(settings.folder)
            plan.every(self.name, settings.every_s, lambda: self._read(folder), beside=True)

    def _read(self, folder: Path) -> str | None:
        """Record what was written since the last look; return the first problem."""
        try:
            paths = _files(folder)
        except OSError as error:
            return f"{folder}: {error.strerror}"
        if not paths:
            return f"{folder}: no *.prom files"
        problems = [why for path in paths if (why := self._read_file(path)) is not None]
        return problems[0] if problems else None

    def _read_file(self, path: Path) -> str | None:
        """Record the meters of one file, if it was rewritten; return what is wrong with it."""
        host = self.host
        try:
            ts_us, readings = _load(path, host, self.config.textfile.stale_s)
        except OSError as error:
            return f"{path.name}: {error.strerror}"
        except ValueError as error:
            return f"{path.name}: {error}"
        if self._read_us.get(path) == ts_us:
            return None
        self._read_us[path] = ts_us
        for reading in readings:
            if (reading.domain, ts_us) not in self._recorded:
                host.add("host", ts_us=ts_us, node=host.node, **reading._asdict())
        return None

    @classmethod
    def check(cls, config: Any, host: Host) -> Iterator[Finding]:
        """Yield which meters each file has now."""
        settings = config.textfile
        if settings.folder is None:
            return
        if host.emulated:
            yield Finding("ok", cls.name, "not read on an emulated node")
            return
        folder = Path(settings.folder)
        try:
            paths = _files(folder)
        except OSError as error:
            yield Finding("warn", cls.name, f"{folder}: {error.strerror}")
            return
        if not paths:
            yield Finding("warn", cls.name, f"{folder}: no *.prom files")
        for path in paths:
            try:
                domains = [reading.domain for reading in _load(path, host, settings.stale_s)[1]]
            except (OSError, ValueError) as error:
                yield Finding("warn", cls.name, f"{path.name}: {error}")
                continue
            words = ", ".join(domains) or "no metric ends in _watts or _joules_total"
            yield Finding("ok" if domains else "warn", cls.name, f"{path.name}: {words}")


def _files(folder: Path) -> list[Path]:
    """Return the *.prom files of a folder, sorted; a pipe of that name would never end.

    Raises:
        OSError: it cannot be listed.
    """
    return sorted(
        path for path in folder.iterdir() if path.name.endswith(".prom") and path.is_file()
    )


def _load(path: Path, host: Host, stale_s: float) -> tuple[int, list[MeterReading]]:
    """Return when a file was written (stamp, us UTC), and its meters.

    Raises:
        OSError: it cannot be read.
        ValueError: it is stale, too large or not in the expected format.
    """
    # Time and content of one open file: scripts put another one in its place at any moment.
    with path.open("rb") as file:
        written_us = os.fstat(file.fileno()).st_mtime_ns // 1_000
        data = file.read(_MOST_BYTES + 1)
    now_us = host.now_us()
    # The file's time is from the wall clock, which may have been set since the stamps began.
    ts_us = host.wall_steps.stamp_us(written_us, now_us)
    # No ages in these texts: a problem is reported again when its text changes.
    if ts_us - now_us > _AHEAD_US:
        raise ValueError("was written in the future; check the clock")
    if now_us - ts_us > stale_s * 1_000_000:
        raise ValueError(f"was not rewritten for more than {stale_s:g} s")
    if len(data) > _MOST_BYTES:
        raise ValueError(f"is larger than {_MOST_BYTES >> 20} MiB")
    return ts_us, parse_meters(data.decode("utf-8"))
