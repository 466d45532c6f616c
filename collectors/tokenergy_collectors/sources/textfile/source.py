"""`textfile`: host meters that scripts write into files.

In: a folder of *.prom files. Out: rows of `host`, stamped with the time at which the file was
written. A file that was not rewritten since the last look adds no row, since its values are old.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenergy_collectors.base.finding import Finding
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

    def plan(self, plan: Plan) -> None:
        """Look at the folder periodically, in a thread: it may be on a slow disk."""
        settings = self.config.textfile
        if settings.folder is not None:
            folder = Path(settings.folder)
            plan.every(self.name, settings.every_s, lambda: self._read(folder), beside=True)

    def _read(self, folder: Path) -> str | None:
        """Record what was written since the last look; return the first problem, if any."""
        problems = []
        try:
            paths = sorted(folder.glob("*.prom")) if folder.is_dir() else []
            if not paths:
                return f"{folder}: no *.prom files"
        except OSError as error:
            return f"{folder}: {error.strerror}"
        for path in paths:
            try:
                self._read_file(path)
            except OSError as error:
                problems.append(f"{path.name}: {error.strerror}")
            except ValueError as error:
                problems.append(f"{path.name}: {error}")
        return problems[0] if problems else None

    def _read_file(self, path: Path) -> None:
        """Record the meters of one file.

        Raises:
            OSError: it cannot be read.
            ValueError: it is stale, too large or not in the expected format.
        """
        host = self.host
        written_us = path.stat().st_mtime_ns // 1_000
        now_us = host.now_us()
        # The file's time is from the wall clock, which may have been set since the stamps began.
        ts_us = host.wall_steps.stamp_us(written_us, now_us)
        age_us, stale_s = now_us - ts_us, self.config.textfile.stale_s
        # No ages in these texts: a problem is reported again when its text changes.
        if age_us < -_AHEAD_US:
            raise ValueError("was written in the future; check the clock")
        if age_us > stale_s * 1_000_000:
            raise ValueError(f"was not rewritten for more than {stale_s:g} s")
        if self._read_us.get(path) == written_us:
            return
        readings = _load(path)
        # Only now: a file that could not be parsed is tried again at the next look.
        self._read_us[path] = written_us
        for reading in readings:
            host.add("host", ts_us=ts_us, node=host.node, **reading._asdict())

    @classmethod
    def check(cls, config: Any, host: Host) -> Iterator[Finding]:
        """Yield which meters each file has now."""
        folder = config.textfile.folder
        if folder is None:
            return
        paths = sorted(Path(folder).glob("*.prom"))
        if not paths:
            yield Finding("warn", cls.name, f"{folder}: no *.prom files")
        for path in paths:
            try:
                domains = [reading.domain for reading in _load(path)]
            except (OSError, ValueError) as error:
                yield Finding("warn", cls.name, f"{path.name}: {error}")
                continue
            words = ", ".join(domains) or "no metric ends in _watts or _joules_total"
            yield Finding("ok" if domains else "warn", cls.name, f"{path.name}: {words}")


def _load(path: Path) -> list[MeterReading]:
    """Return the meters in a file; raises the same errors as `_read_file`."""
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ValueError(f"is larger than {_MOST_BYTES >> 20} MiB")
    return parse_meters(data.decode("utf-8"))
