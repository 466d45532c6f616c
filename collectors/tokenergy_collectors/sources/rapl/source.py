"""`rapl`: energy of the CPUs by their own meters, as the kernel shows it in powercap.

In: the zones' counters. Out: rows of `host` with the energy since an epoch began, and beside it
what the counter showed and where it begins again, so that anyone can do the sum anew. Events say
where a meter was lost or found, and where an epoch began.

On by default, as the boards are: the meters belong to the host, reading them needs no setting, and
the kernel lets nobody but root read them until the operator says so. A host without them, or
without leave, has no readings and no failures.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.base.problems import Problems
from tokenergy_collectors.lake.contract import HOST
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.plan import Plan, Reader
from tokenergy_collectors.sources.rapl.findings import look, most_w, rapl_findings, too_rare
from tokenergy_collectors.sources.rapl.settings import RaplKeys
from tokenergy_collectors.sources.rapl.unwrap import Unwrapped
from tokenergy_collectors.sources.rapl.zones import Zone, find_zones, read_zone, reason
from tokenergy_collectors.sources.source import Source

_SLEPT_US = 100_000
"""Two clocks that only a sleeping host drives apart are read this far apart at most."""

_GONE = {errno.ENOENT, errno.ENODEV, errno.ENXIO}


class RaplMeters(Source[RaplKeys]):
    """Reads the zones of one powercap folder."""

    name = "rapl"
    keys = RaplKeys

    def __init__(self, config: RaplKeys, host: Host) -> None:
        super().__init__(config, host)
        self._folder = Path(config.rapl.folder)
        self._counters: dict[str, Unwrapped] = {}
        self._answer: dict[str, bool] = {}
        """By domain: whether the latest try to read it worked. Those that never did are absent."""
        self._listing: list[str] | None = None
        self._zones: list[Zone] = []
        self._wrong: list[str] = []
        self._asleep_us: int | None = None
        self._began = False
        self._told = Problems()
        self._reader: Reader | None = None

    def plan(self, plan: Plan) -> None:
        """Read the zones beside the sampling: a busy processor may keep a reader waiting."""
        settings = self.config.rapl
        # The meters are this host's, which an emulated node is not.
        if not settings.enabled or self.host.emulated:
            return
        seen = look(self._folder)
        if seen.refused is not None:
            self.host.log.warning("rapl", why=seen.refused)
        for why in too_rare(seen.shown, settings):
            self.host.log.warning("rapl", why=why)
        if not seen.shown and seen.problems:
            self.host.log.warning("rapl", why=seen.problems[0])
        if seen.shown:
            self._reader = plan.every(self.name, settings.every_s, self._read, beside=True)

    def edge(self) -> None:
        """Read the meters once more: so a job and an hour begin and end with a reading."""
        if self._reader is not None:
            self._reader.ask(even_if_busy=True)

    def _read(self) -> str | None:
        """Record what every zone shows; return the first problem."""
        self._find()
        self._look_for_sleep()
        rows, problems = [], list(self._wrong)
        for zone in self._zones:
            try:
                rows.append(self._row(zone))
            except PermissionError as error:
                # Told at the start, with what to do; a meter that was read before is lost.
                self._lose(zone.domain, reason(error))
            except (OSError, ValueError) as error:
                problems.append(f"{zone.domain}: {reason(error)}")
                self._lose(zone.domain, reason(error))
                if isinstance(error, OSError) and error.errno in _GONE:
                    self._listing = None  # look at the folder again
        self._began = True
        self.host.output.add("host", rows)
        if not rows and not problems:
            problems.append(f"{self._folder}: no meter can be read any more")
        return problems[0] if problems else None

    def _find(self) -> None:
        """Look for zones, if the folder's list has changed or not all of them could be used."""
        try:
            listing = sorted(os.listdir(self._folder))  # noqa: PTH208 - names, no paths: each second
        except OSError:
            listing = []
        if listing == self._listing and not self._wrong:
            return
        self._listing = listing
        self._zones, self._wrong = find_zones(self._folder)
        here = {zone.domain for zone in self._zones}
        for domain in self._answer.keys() - here:
            self._lose(domain, "its folder has gone")
            self._counters[domain].end("it had gone")

    def _look_for_sleep(self) -> None:
        """Processors may lose their counters while the host sleeps."""
        clock = self.host.clock
        asleep_us = clock.boottime_us() - clock.monotonic_us()
        if self._asleep_us is not None and abs(asleep_us - self._asleep_us) > _SLEPT_US:
            for counter in self._counters.values():
                counter.end("the host slept")
        self._asleep_us = asleep_us

    def _row(self, zone: Zone) -> tuple[Any, ...]:
        host, clock = self.host, self.host.clock
        before_us = clock.monotonic_us()
        shown = read_zone(zone)
        ts_us = (before_us + clock.monotonic_us()) // 2 + host.offset_us
        counter = self._counters.get(zone.domain)
        if counter is None:
            counter = Unwrapped(most_w(zone.domain, self.config.rapl))
            self._counters[zone.domain] = counter
        self._find_again(zone.domain)
        why = counter.take(clock.boottime_us(), shown.counter_uj, shown.range_uj)
        self._tell(zone.domain, why)
        return HOST.make_row(
            ts_us=ts_us,
            node=host.node,
            domain=zone.domain,
            energy_uj=counter.energy_uj,
            epoch=counter.epoch,
            run=host.run,
            **shown._asdict(),
        )

    def _tell(self, domain: str, why: str | None) -> None:
        """Record that another epoch began; once, if each reading begins one."""
        if why is None:
            self._told.is_over(domain)
        elif self._told.is_new(domain, why):
            self.host.warn("meter_reset", None, f"{domain}: {why}; it counts anew")

    def _lose(self, domain: str, why: str) -> None:
        if self._answer.get(domain):
            self._answer[domain] = False
            self.host.warn("meter_lost", None, f"{domain}: {why}")

    def _find_again(self, domain: str) -> None:
        """Note that a meter answers; one that did not, or has come since the start, is an event."""
        new = domain not in self._answer and self._began
        if new or self._answer.get(domain) is False:
            self.host.event("meter_found", None, f"{domain} can be read")
        self._answer[domain] = True

    @classmethod
    def check(cls, config: Any, host: Host) -> Iterator[Finding]:
        """Yield which meters can be read, and what to do about those that cannot."""
        if config.rapl.enabled and not host.emulated:
            yield from rapl_findings(config.rapl)
