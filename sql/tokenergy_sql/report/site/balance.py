"""The energy of the site from what comes in to the boards, as parts that add up on each side.

In: the sums of the hours that are drawn. Out: `Balance`. What no meter shows, or not all of the
time, is what is left: it has a part of its own that says so, never 0. Where parts are more than the
whole, by the errors of the meters, the difference has a part too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from tokenergy_sql.report import palette
from tokenergy_sql.report.site.facts import LEAST_KNOWN, Frame

How = Literal["measured", "modelled", "declared", "unknown"]
"""Where a part's energy comes from."""

_BY_DOUBT: tuple[How, ...] = ("measured", "modelled", "declared", "unknown")

INPUTS = {
    "utility": ("grid", "var(--soft)"),
    "generator": ("generators", "var(--job-6)"),
    "renewable": ("own sun and wind", "var(--job-3)"),
    "district_cooling": ("cold that is bought", "var(--job-5)"),
}
"""What comes in, by role of its meters: label and colour."""

_ACCOUNTS = {
    "active": "active",
    "resident_idle": "resident idle",
    "free_idle": "free idle",
    "unattributed": "unattributed",
}
_UNKNOWN = palette.UNKNOWN

_SEEN = 0.9995
"""Share of the time from which on a page says that all of it is known."""

_MUCH = 0.1
"""What is left after declared host energy counts as declared too, if that is more than this share
of it."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the energy.

    Attributes:
        key: its name in the drawing.
        label: its name on the page.
        energy_j: how much, J.
        how: where that comes from.
        color: of the drawing.
        why: a sentence on what it is, or on why it is not known.
        covered: share of the time for which its meters are known; None: it has none of its own.
    """

    key: str
    label: str
    energy_j: float
    how: How
    color: str
    why: str = ""
    covered: float | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """The parts: `inputs` are as much as `parts`, IT and `more_it` as `it_parts`.

    Attributes:
        inputs: what comes in.
        parts: where it goes; one with the key `it` goes on.
        more_it: how much the parts of IT are more than its meters show; None: they are not.
        it_parts: parts of IT; one with the key `boards` goes on.
        accounts: the boards' energy by account.
        works: energy that jobs held, by account and kind of work.
    """

    inputs: list[Part]
    parts: list[Part]
    more_it: Part | None
    it_parts: list[Part]
    accounts: list[Part]
    works: list[tuple[str, str, float]]

    @property
    def total_j(self) -> float:
        """Return all that comes in."""
        return sum(part.energy_j for part in self.inputs)


def balance_of(frame: Frame) -> Balance | None:
    """Return the energy of the hours of a frame; None if there is none."""
    inputs = [*_inputs(frame)]
    known = [*_metered_parts(frame), *_given_back(frame)]
    known_j = sum(part.energy_j for part in known)
    if not inputs and known_j <= 0:
        return None
    if not inputs:
        why = "No meter shows what comes into the site."
        inputs = [Part("in", "what comes in: not known", known_j, "unknown", _UNKNOWN, why)]
    left_j = sum(part.energy_j for part in inputs) - known_j
    if left_j > 0:
        known.append(_rest(frame, left_j))
    if left_j < 0:
        why = "The parts are more than what comes in, by the errors of the meters."
        inputs.append(Part("more", "more than comes in", -left_j, "unknown", _UNKNOWN, why))
    more_it, it_parts = _it_parts(frame)
    return Balance(inputs, known, more_it, it_parts, [*_accounts(frame)], [*_works(frame)])


def _inputs(frame: Frame) -> Iterator[Part]:
    rows = {row["role"]: row for row in frame.sums if row["figure"] == frame.base}
    for role, (label, color) in INPUTS.items():
        if role in rows and rows[role]["energy_j"]:
            yield Part(role, label, rows[role]["energy_j"], "measured", color, "", 1.0)


def _given_back(frame: Frame) -> Iterator[Part]:
    for row in frame.sums:
        if row["figure"] == frame.base and row["role"] == "export" and row["energy_j"]:
            why = "Electricity given back to the grid."
            color = "var(--job-8)"
            yield Part("export", "given back", row["energy_j"], "measured", color, why, 1.0)


def _metered_parts(frame: Frame) -> Iterator[Part]:
    """Yield IT and what has meters of its own beside it."""
    if frame.it_j is not None:
        why = "IT energy, where the site measures it."
        yield Part("it", "IT", frame.it_j, "measured", "var(--job-1)", why, 1.0)
    cold_j = sum(p.energy_j for p in _inputs(frame) if p.key == "district_cooling")
    if cold_j:
        why = "Cold that is bought goes to the cooling."
        yield Part("cold", "bought cold", cold_j, "measured", "var(--job-5)", why, 1.0)
    colors = {"cooling": "var(--job-2)", "other": "var(--other)"}
    labels = {"cooling": "cooling", "other": "lighting and other"}
    for figure, label in labels.items():
        rows = [row for row in frame.sums if row["figure"] == figure]
        if rows:
            energy_j = sum(row["energy_j"] or 0.0 for row in rows)
            covered = min(row["covered"] for row in rows)
            why = "" if covered >= _SEEN else "The rest of the time is in what is not known."
            yield Part(figure, label, energy_j, "measured", colors[figure], why, covered)
    if frame.losses is not None and (frame.losses["energy_j"] or 0) > 0:
        why = "What goes into the UPSes less what their meters show behind them."
        label = "UPS and distribution"
        loss_j, covered = frame.losses["energy_j"], frame.losses["covered"]
        yield Part("losses", label, loss_j, "measured", "var(--job-4)", why, covered)
    if frame.curves is not None and (frame.curves["energy_j"] or 0) > 0:
        why = "What declared curves lose at the metered load, where no second meter shows it."
        label = "UPS and distribution, modelled"
        loss_j, covered = frame.curves["energy_j"], frame.curves["covered"]
        yield Part("curves", label, loss_j, "modelled", "var(--job-4)", why, covered)


def _rest(frame: Frame, energy_j: float) -> Part:
    """Return what is left of what comes in; its name says what has no meter."""
    there = {row["figure"] for row in frame.sums}
    names = {
        "IT": frame.it_j is not None,
        "cooling": "cooling" in there,
        "UPS losses": frame.losses is not None or frame.curves is not None,
    }
    absent = [name for name, metered in names.items() if not metered]
    label = f"{', '.join(absent)}: not metered" if absent else "not metered or not known"
    why = (
        f"What comes in less all that is metered. No meter shows: {', '.join(absent)}."
        if absent
        else "What comes in less all that is metered: what has no meter, and the time for which "
        "meters are not known."
    )
    return Part("rest", label, energy_j, "unknown", _UNKNOWN, why)


def _it_parts(frame: Frame) -> tuple[Part | None, list[Part]]:
    """Return how much the parts of IT exceed it, if they do, and the parts."""
    if frame.it_j is None:
        return None, []
    parts = [*_boards(frame), *_hosts(frame)]
    left_j = frame.it_j - sum(part.energy_j for part in parts)
    if left_j < 0:
        why = "Boards and hosts are more than the meters of IT show: see accuracy and host power."
        return Part("more_it", "more than IT", -left_j, "unknown", _UNKNOWN, why), parts
    return None, [*parts, *([_other_it(frame, parts, left_j)] if left_j > 0 else [])]


def _boards(frame: Frame) -> Iterator[Part]:
    energy_j = sum(row["energy_j"] or 0.0 for row in frame.boards)
    time_us = sum(row["device_us"] for row in frame.boards)
    if energy_j > 0:
        gap_us = sum(row["device_us"] for row in frame.boards if row["account"] == "gap")
        covered = 1 - gap_us / time_us
        why = "" if covered >= _SEEN else "The energy of gaps is in what is not known."
        yield Part("boards", "GPUs", energy_j, "measured", "var(--active)", why, covered)


def _hosts(frame: Frame) -> Iterator[Part]:
    sums: dict[How, float] = {}
    for row in frame.hosts:
        if row["energy_j"]:
            # Older lakes do not say how; there it was declared.
            how = _how(row.get("host_method") or "declared")
            sums[how] = sums.get(how, 0.0) + row["energy_j"]
    for how, energy_j in sorted(sums.items(), key=lambda one: _BY_DOUBT.index(one[0])):
        label = "hosts" if how == "measured" else f"hosts, {how}"
        yield Part(f"hosts-{how}", label, energy_j, how, "var(--job-7)", "", _hosts_known(frame))


def _how(method: str) -> How:
    """Return the most doubtful of the methods that are joined by `+`."""
    names = method.split("+")
    return next((how for how in reversed(_BY_DOUBT) if how in names), "unknown")


def _hosts_known(frame: Frame) -> float:
    watched_us = sum(row["watched_us"] for row in frame.hosts)
    return sum(row["known_us"] for row in frame.hosts) / watched_us if watched_us else 0.0


def _watched(frame: Frame) -> float:
    """Return for how much of the nodes' time a collector recorded one of their boards."""
    whole_us = sum(row["whole_us"] for row in frame.hosts)
    return sum(row["watched_us"] for row in frame.hosts) / whole_us if whole_us else 0.0


def _other_it(frame: Frame, parts: Iterable[Part], energy_j: float) -> Part:
    """Return what is left of IT: it is known if all boards and hosts are."""
    hosts = _hosts_known(frame)
    boards = next((part for part in parts if part.key == "boards"), None)
    if boards is None:
        label, why = "GPUs, hosts, other IT: not known", "No collector recorded a GPU."
    elif hosts < _SEEN:
        some = "" if hosts == 0 else " in part"
        label = f"hosts{some} and other IT: not known"
        why = "Host power is not known: meter the hosts, or declare host_w in the site file."
    elif (boards.covered or 0.0) < _SEEN or _watched(frame) < LEAST_KNOWN:
        label = "other IT, GPUs in gaps: not known"
        why = "Power readings of GPUs are missing for some of the time."
    else:
        unsure = [part for part in parts if part.how != "measured"]
        # Little that is declared leaves what is left about as sure as the meters are.
        much = sum(part.energy_j for part in unsure) > _MUCH * energy_j
        how = max((part.how for part in unsure), key=_BY_DOUBT.index) if much else "measured"
        why = "IT less GPUs and hosts: switches, storage, servers without a collector."
        return Part("other_it", "other IT", energy_j, how, "var(--job-8)", why)
    return Part("other_it", label, energy_j, "unknown", _UNKNOWN, why)


def _accounts(frame: Frame) -> Iterator[Part]:
    for account, label in _ACCOUNTS.items():
        energy_j = sum(r["energy_j"] or 0.0 for r in frame.boards if r["account"] == account)
        if energy_j:
            yield Part(account, label, energy_j, "measured", palette.ACCOUNTS[account])


def _works(frame: Frame) -> Iterator[tuple[str, str, float]]:
    for row in frame.boards:
        if row["work"] != "none" and row["account"] in _ACCOUNTS and row["energy_j"]:
            yield row["account"], row["work"], row["energy_j"]
