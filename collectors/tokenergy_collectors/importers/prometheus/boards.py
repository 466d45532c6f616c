"""Which series are of one board, and one value for each of its stamps.

In: samples of known metrics. Out: for each board its readings by meaning. A board may have several
series of one metric: two replicas of a store, two scrape jobs, two exporters, a pod label that
changes, an instance label that changes with a pod's address, one series for each MIG instance or
tenant with the board's whole power in each. Its readings count once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tokenergy_collectors.importers.prometheus.names import (
    Gauge,
    LabelNames,
    Meaning,
    Names,
    first_of,
    host_of,
)
from tokenergy_collectors.importers.prometheus.samples import Samples, Stamps, Values
from tokenergy_collectors.sources.tokens.page import labels_text

_BARE_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F-]{20,}")
_NUMBERED = re.compile(r"(?:nvidia)?(\d{1,4})")
_FEWEST = 3
"""So many distances tell the usual one: with fewer, a gap could be taken for it."""

_MANY = 3
"""A silence of more than so many spacings is a gap: a pod may be missing on one page."""


@dataclass(frozen=True, slots=True)
class Name:
    """A board: its node, its id in the lake, and its index there if known.

    `rank` says how far down the list of labels the node was found: the lowest is best.
    """

    node: str
    device_id: str
    index: int | None
    rank: int = 0


@dataclass(slots=True)
class Reading:
    """The readings of one meaning of a board.

    Attributes:
        ts_us: int64[n], ascending, each stamp once.
        values: float64[n], in the unit of the lake.
        sensors: kind of each reading, n of them.
        late_s: how old a value may be at its stamp, seconds.
    """

    ts_us: Stamps
    values: Values
    sensors: list[str]
    late_s: float


@dataclass(slots=True)
class Board:
    """A board and all series of it.

    Attributes:
        name: who it is.
        series: samples of known metrics, with what each metric is.
    """

    name: Name
    series: list[tuple[Gauge, Samples]] = field(default_factory=list)

    @property
    def labels(self) -> Mapping[str, str]:
        """All labels that its series have; of several values the one of the first series."""
        found: dict[str, str] = {}
        for _, samples in self.series:
            for name, text in samples.labels.items():
                found.setdefault(name, text)
        return found

    def stamps(self) -> Stamps:
        """Return all stamps at which power or energy was scraped: int64[n], ascending."""
        found = [s.ts_us for g, s in self.series if g.meaning in ("power", "energy")]
        return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)

    def reading(self, meaning: Meaning, late_s: Mapping[str, float]) -> Reading | None:
        """Return the readings of one meaning; None if there is none.

        Args:
            meaning: what is read.
            late_s: how old a value of an exporter may be at its stamp, seconds.
        """
        sources: dict[tuple[int, str, str], list[tuple[Gauge, Samples]]] = {}
        for gauge, samples in self.series:
            if gauge.meaning == meaning and len(samples.ts_us):
                key = (gauge.choice, gauge.metric, source_of(samples.labels))
                sources.setdefault(key, []).append((gauge, samples))
        parts = [_of_source(sources[key]) for key in sources]
        # The best metric first; of several scrapes of one exporter the one that has most.
        order = sorted(
            zip(sources, parts, strict=True), key=lambda p: (p[0][0], -len(p[1][0]), p[0])
        )
        if not order:
            return None
        gauges = [sources[key][0][0] for key, _ in order]
        ts_us, values, of = filled([part for _, part in order])
        used = np.unique(of).tolist()
        scaled = values * np.array([gauge.factor for gauge in gauges])[of]
        return Reading(
            ts_us,
            scaled,
            [gauges[place].sensor for place in of.tolist()],
            max(late_s.get(gauges[place].exporter, 0.0) for place in used),
        )


def boards_in(found: Iterable[Samples], names: Names, node: str | None = None) -> list[Board]:
    """Return the boards that samples are of, sorted by node and id.

    Args:
        found: samples of known metrics of boards.
        names: what metrics and labels are called.
        node: the node of series that name none.
    """
    boards: dict[str, Board] = {}
    for samples in found:
        gauge = names.of(samples.metric)
        name = name_of(samples.labels, names.labels, node)
        if gauge is None or name is None:
            continue
        # One exporter may name the node by a label and another by its address: one board all the
        # same.
        board = boards.setdefault(name.device_id, Board(name))
        if (name.rank, name.node) < (board.name.rank, board.name.node):
            index = board.name.index if name.index is None else name.index
            board.name = replace(name, index=index)
        elif board.name.index is None:
            board.name = replace(board.name, index=name.index)
        board.series.append((gauge, samples))
    return sorted(boards.values(), key=lambda board: (board.name.node, board.name.device_id))


def name_of(labels: Mapping[str, str], names: LabelNames, node: str | None = None) -> Name | None:
    """Return the board that a series is of; None if its labels do not say which."""
    told_at = [labels.get(name) for name in names.node]
    rank, at = next(
        ((rank, at) for rank, at in enumerate([*told_at, node, host_of(labels)]) if at), (0, None)
    )
    told = first_of(labels, (*names.device, "gpu", "index", "device", "minor_number"))
    if at is None or told is None:
        return None
    numbered = [_NUMBERED.fullmatch(labels.get(name, "")) for name in ("gpu", "index", "device")]
    index = next((int(found[1]) for found in numbered if found), None)
    if _BARE_UUID.fullmatch(told):
        told = f"GPU-{told.lower()}"  # nvidia_gpu_exporter leaves the prefix out
    elif found := _NUMBERED.fullmatch(told):
        return Name(at, f"{at}/{int(found[1])}", int(found[1]), rank)
    return Name(at, told, index, rank)


def source_of(labels: Mapping[str, str]) -> str:
    """Return which scrape a series comes from, as a text."""
    return labels_text({name: labels.get(name, "") for name in ("instance", "job")})


def spacing_us(ts_us: Stamps) -> int | None:
    """Return the usual distance of stamps, to the second where it is some seconds.

    Scrapes jitter by milliseconds: those of one interval must not look like two.
    """
    distances = np.sort(np.diff(ts_us))
    if len(distances) < _FEWEST:
        return None
    middle_us = int(distances[(len(distances) - 1) // 2])
    return middle_us if middle_us < 2_000_000 else (middle_us + 500_000) // 1_000_000 * 1_000_000


def gap_us(spacing: int | None) -> int:
    """Return the longest time between two scrapes that belong together."""
    return _MANY * (spacing or 60_000_000)


def filled(
    parts: Sequence[tuple[Stamps, Values]],
) -> tuple[Stamps, Values, np.ndarray]:
    """Return the samples of the first part, and those of later ones where it is silent.

    Returns:
        Stamps, values, and for each the place of its part.
    """
    ts_us, values = parts[0]
    of = np.zeros(len(ts_us), dtype=np.int64)
    for place, (more_us, more) in enumerate(parts[1:], 1):
        near_us = 3 * (spacing_us(ts_us) or 60_000_000) // 2
        after = np.searchsorted(ts_us, more_us)
        before_us = ts_us[np.maximum(after - 1, 0)]
        after_us = ts_us[np.minimum(after, len(ts_us) - 1)]
        off_us = np.minimum(np.abs(more_us - before_us), np.abs(after_us - more_us))
        new = off_us > near_us
        ts_us = np.concatenate([ts_us, more_us[new]])
        values = np.concatenate([values, more[new]])
        of = np.concatenate([of, np.full(int(new.sum()), place)])
        order = np.argsort(ts_us, kind="stable")
        ts_us, values, of = ts_us[order], values[order], of[order]
    return ts_us, values, of


def _of_source(found: Sequence[tuple[Gauge, Samples]]) -> tuple[Stamps, Values]:
    """Join the series of one scrape: other labels, such as the pod, change over time.

    At one stamp all of them have the board's value; where they differ, the first counts.
    """
    ordered = sorted((samples for _, samples in found), key=lambda s: labels_text(s.labels))
    ts_us = np.concatenate([samples.ts_us for samples in ordered])
    values = np.concatenate([samples.values for samples in ordered])
    ts_us, first = np.unique(ts_us, return_index=True)
    return ts_us, values[first]
