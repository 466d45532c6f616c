"""What a run does before its own hour: it heals the last days and checks what it changed there.

In: a lake, a span of hours. Out: those hours as if nothing had been late or missed, and the checks
that failed on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.expired import read_expired
from tokenergy_collectors.lake.paths import show_hour
from tokenergy_sql.checks.checking import hourly_names, run_checks
from tokenergy_sql.index.healing import heal
from tokenergy_sql.index.site import Site
from tokenergy_transforms.choice import Device
from tokenergy_transforms.loadprofile.groups import KINDS
from tokenergy_transforms.loadprofile.profile import profile_hour


@dataclass(frozen=True, slots=True)
class HealedHours:
    """What healing changed.

    Attributes:
        hours: starts of the hours that were derived again, microseconds UTC, ascending.
        failed: checks that failed on them: name and number of rows.
    """

    hours: list[int]
    failed: list[str]

    @property
    def names(self) -> list[str]:
        """The hours as text, for example 2026-01-15T08."""
        return [show_hour(hour_us) for hour_us in self.hours]


def heal_and_check(
    lake: Lake,
    site: Site,
    since_us: int,
    until_us: int,
    window_us: int,
    device: Device,
    rows_shown: int = 20,
    say: Callable[[str], None] = print,
) -> HealedHours:
    """Derive late, missed and damaged hours again, and check those that were.

    Args:
        lake: the lake.
        site: the site file.
        since_us, until_us: the hours that start in [since_us, until_us), microseconds UTC.
        window_us: window of nodes and hours without segments.
        device: what integrates.
        rows_shown: rows to show of each check that fails.
        say: takes lines for the log.

    Raises:
        UserError: a file cannot be reached or written.
    """
    profiled: set[int] = set()

    def profile_due(hours: Iterable[int]) -> None:
        # Before the books: once these are published, a run that follows a killed one would not
        # know that the load profiles are as before.
        profile(lake, hours, device, say)
        profiled.update(hours)

    healed = heal(lake, site, since_us, until_us, window_us, device, say, before=profile_due)
    for line in healed.lines():
        say(line)
    hours = sorted(healed.causes)
    profile_changed(lake, {*hours} - profiled, since_us, until_us, device, say)
    return HealedHours(hours, checked(lake, hours, rows_shown, say))


def profile_changed(
    lake: Lake,
    changed: Iterable[int],
    since_us: int,
    until_us: int,
    device: Device,
    say: Callable[[str], None],
) -> None:
    """Write the load profiles of hours whose books changed, and of those that have none.

    Raises:
        UserError: a file cannot be reached or written.
    """
    missing = {*lake.hours("power")}.difference(lake.hours("load_profile"))
    expired = read_expired(lake.root)
    missing = {one for one in missing if not expired.has("load_profile", one)}
    profile(lake, {*changed, *(one for one in missing if since_us <= one < until_us)}, device, say)


def profile(lake: Lake, hours: Iterable[int], device: Device, say: Callable[[str], None]) -> None:
    """Write the load profiles of some hours.

    An hour with a profile keeps it if readings were removed since: they cannot be profiled again.

    Raises:
        UserError: a file cannot be reached or written.
    """
    for hour_us in sorted(hours):
        removed = {*lake.nodes("segment", hour_us)}.difference(lake.nodes("power", hour_us))
        if removed and lake.files("load_profile", [hour_us]):
            nodes = f"{len(removed)} {'node' if len(removed) == 1 else 'nodes'}"
            say(f"load profile {show_hour(hour_us)}: kept, the readings of {nodes} were removed")
            continue
        done = profile_hour(lake, hour_us, KINDS, device=device)
        say(f"load profile {show_hour(hour_us)}: {done.groups} groups, {done.cells:,} cells")


def checked(lake: Lake, hours: list[int], rows_shown: int, say: Callable[[str], None]) -> list[str]:
    """Run the checks that look at one hour at a time; return those that failed: name and rows.

    The checks of all jobs must wait for the latest hour: its readings may be here, its books not.
    """
    findings = run_checks(lake, hours, hourly_names()) if hours else []
    breaches = [finding for finding in findings if finding.breach]
    for finding in breaches:
        say("\n".join(finding.lines(rows_shown)))
    if hours and not breaches:
        say(f"{len(findings)} checks of {len(hours)} healed hours: ok")
    return [f"{one.name} ({len(one.rows)} rows)" for one in breaches]
