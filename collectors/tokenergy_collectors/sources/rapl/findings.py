"""What there is to say about a host's RAPL meters before they are read, and how to get leave.

In: the powercap folder and the settings. Out: what each zone shows now, and findings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.sources.rapl.settings import Rapl
from tokenergy_collectors.sources.rapl.unwrap import SLACK_US
from tokenergy_collectors.sources.rapl.zones import Shown, find_zones, read_zone, reason

GRANT = (
    "only root may read them; to let a group do so, without root for the collector, write "
    'SUBSYSTEM=="powercap", KERNEL=="intel-rapl:*", ACTION!="remove", '
    'RUN+="/bin/chgrp powercap /sys%p/energy_uj", RUN+="/bin/chmod g+r /sys%p/energy_uj" '
    "to /etc/udev/rules.d/70-powercap.rules (docs/host-energy.md)"
)
"""What to do about meters that may not be read."""


class Seen(NamedTuple):
    """What the zones of a host show now.

    Attributes:
        shown: the zones that can be read, by domain.
        refused: what to do about those that may not be read; None if there are none.
        problems: what is wrong with others.
    """

    shown: dict[str, Shown]
    refused: str | None
    problems: list[str]


def look(folder: Path) -> Seen:
    """Read each zone once."""
    zones, problems = find_zones(folder)
    shown: dict[str, Shown] = {}
    refused: list[str] = []
    for zone in zones:
        try:
            shown[zone.domain] = read_zone(zone)
        except PermissionError:
            refused.append(zone.domain)
        except (OSError, ValueError) as error:
            problems.append(f"{zone.domain}: {reason(error)}")
    return Seen(shown, f"{', '.join(refused)}: {GRANT}" if refused else None, problems)


def most_w(domain: str, settings: Rapl) -> int:
    """Return the watts that a zone never exceeds, as the settings say."""
    platform = domain.partition("-")[0] == "psys"
    return settings.platform_most_w if platform else settings.most_w


def safe_s(domain: str, shown: Shown, settings: Rapl) -> float:
    """Return for how long a zone may be unread: its range, used up at the most power."""
    return max(0.0, (shown.range_uj / most_w(domain, settings) - SLACK_US) / 1_000_000)


def too_rare(shown: Mapping[str, Shown], settings: Rapl) -> list[str]:
    """Return which zones are read too rarely: one reading that comes late must not lose a wrap."""
    found = []
    for domain, one in shown.items():
        left_s = safe_s(domain, one, settings)
        if 2 * settings.every_s > left_s:
            found.append(
                f"{domain}: at {most_w(domain, settings)} W its counter begins again after "
                f"{left_s:.3g} s, and a late reading would miss that: rapl.every_s is "
                f"{settings.every_s:g}, expected at most {left_s / 2:.3g}"
            )
    return found


def rapl_findings(settings: Rapl) -> Iterator[Finding]:
    """Yield which meters can be read, and what to do about those that cannot; nothing if none."""
    seen = look(Path(settings.folder))
    if seen.shown:
        soonest_s = min(safe_s(domain, one, settings) for domain, one in seen.shown.items())
        text = f"{', '.join(seen.shown)}; a counter begins again after {soonest_s:.3g} s or later"
        yield Finding("ok", "rapl", text)
    if seen.refused is not None:
        yield Finding("warn", "rapl", seen.refused)
    for text in (*seen.problems, *too_rare(seen.shown, settings)):
        yield Finding("warn", "rapl", text)
