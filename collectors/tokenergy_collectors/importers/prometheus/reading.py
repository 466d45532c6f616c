"""Reads a chunk of time from a store: boards, counters of tokens, and the times of pods.

In: what a store answers. Out: `Board`s and rows of `tokens`. Nothing is written here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.leftout import shown
from tokenergy_collectors.importers.prometheus.boards import Board, boards_in
from tokenergy_collectors.importers.prometheus.client import Client
from tokenergy_collectors.importers.prometheus.names import POD_END, POD_START, START, Names
from tokenergy_collectors.importers.prometheus.owners import EXPORTERS
from tokenergy_collectors.importers.prometheus.plan import Order
from tokenergy_collectors.importers.prometheus.samples import (
    Samples,
    names_in,
    quoted,
    samples_of,
)
from tokenergy_collectors.importers.prometheus.spans import Pods
from tokenergy_collectors.importers.prometheus.tokens import Tokens, token_rows
from tokenergy_collectors.sources.tokens.counters import Counters

_AT_ONCE = 50
"""Addresses or pods in one question: more would make it too long for a URL."""


@dataclass(frozen=True, slots=True)
class Known:
    """The metrics that a store has, of those that are known."""

    gauges: list[str]
    counters: list[str]
    pods: list[str]


@dataclass(slots=True)
class Reader:
    """Reads chunks.

    Args:
        client: asks the store.
        order: what to import.
    """

    client: Client
    order: Order
    _names: Names = field(init=False)
    _counters: Counters = field(init=False)

    def __post_init__(self) -> None:
        self._names = self.order.mapping.names()
        self._counters = self.order.mapping.counters

    def known(self, start_us: int, end_us: int) -> Known:
        """Return the known metrics of the store.

        Raises:
            UserError: it has none; says what it has.
        """
        own = {one.metric.removesuffix("_total") for one in self.order.mapping.own_counters}
        patterns = [*self._names.patterns, *(f"{re.escape(name)}(_total)?" for name in sorted(own))]
        found = names_in(self.client, patterns, start_us, end_us)
        known = Known(
            [name for name in found if self._names.of(name) is not None],
            [name for name in found if self._counters.has(name)],
            [name for name in found if name in (POD_START, POD_END)],
        )
        if known.gauges or known.counters:
            return known
        some = f"; it has {', '.join(found[:8])}" if found else ""
        raise UserError(
            f"{self.order.door.url}: has no known metric of boards or tokens in this time{some}. "
            "Expected, for example, DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION, "
            "nvidia_smi_power_draw_watts or vllm:generation_tokens_total; give other names in "
            "--mapping FILE, and check --from, --to and --match. Samples younger than --settle (2m "
            "if it is not given) are not read yet: wait so long after the first scrape"
        )

    def has_energy(self, known: Known) -> bool:
        """Return whether the store has an energy counter, or no board at all."""
        gauges = [self._names.of(name) for name in known.gauges]
        return not gauges or any(g is not None and g.meaning == "energy" for g in gauges)

    def boards(self, known: Known, start_us: int, end_us: int) -> list[Board]:
        """Return the boards whose power or energy was scraped in [start, end)."""
        found = boards_in(self._read(known.gauges, start_us, end_us), self._names, self.order.node)
        return [board for board in found if len(board.stamps())]

    def power_alone(self, known: Known, start_us: int, end_us: int) -> list[Board]:
        """Return boards as `boards` does, with their power and energy alone."""
        some = [name for name in known.gauges if self._is_meter(name)]
        return self.boards(Known(some, [], []), start_us, end_us)

    def tokens(self, known: Known, start_us: int, end_us: int) -> Tokens:
        """Return the rows of `tokens` of [start, end)."""
        counters = self._read(known.counters, start_us, end_us)
        addresses = {s.labels["instance"] for s in counters if "instance" in s.labels}
        starts = [
            samples
            for some in _alternatives(addresses)
            for samples in samples_of(self.client, START, f"instance=~{some}", start_us, end_us)
        ]
        return token_rows(
            counters,
            starts,
            self._names.labels,
            self.order.owners,
            self._counters,
            self.order.cluster,
            self.order.node,
        )

    def pods(
        self,
        metric: str,
        known: Known,
        wanted: Collection[tuple[str, str]],
        start_us: int,
        end_us: int,
    ) -> Pods:
        """Return an instant of each of some pods (us UTC), by namespace and pod.

        Args:
            metric: `names.POD_START` or `names.POD_END`.
            known: what the store has.
            wanted: namespaces and pods.
            start_us: first instant.
            end_us: the instant after the last.
        """
        if metric not in known.pods:
            return {}
        found: dict[tuple[str, str], int] = {}
        # Where Prometheus adds labels of its own, `pod` is that of kube-state-metrics.
        for prefix in ("", "exported_"):
            for some in _alternatives({pod for _, pod in wanted}):
                matcher = f"{prefix}pod=~{some}"
                for samples in samples_of(self.client, metric, matcher, start_us, end_us):
                    labels = samples.labels
                    pod = (labels.get(f"{prefix}namespace", ""), labels[f"{prefix}pod"])
                    if len(samples.values):
                        found.setdefault(pod, round(float(samples.values[-1]) * 1_000_000))
        return found

    def _is_meter(self, metric: str) -> bool:
        gauge = self._names.of(metric)
        return gauge is not None and gauge.meaning in ("power", "energy")

    def _read(self, metrics: Iterable[str], start_us: int, end_us: int) -> list[Samples]:
        return [
            samples
            for metric in metrics
            for samples in samples_of(self.client, metric, self.order.matchers, start_us, end_us)
        ]


def doubts_of(unnamed: Collection[str], nodes: Collection[str]) -> Iterator[str]:
    """Yield what may be wrong with the names of jobs and nodes.

    Args:
        unnamed: addresses of servers whose job no label names.
        nodes: nodes of boards.
    """
    if unnamed:
        yield (
            f"no label says which job these servers' tokens belong to: {_some(unnamed)}; their job "
            "is now their address. Name a label with --job-label, or the servers in --mapping FILE"
        )
    if pods := [node for node in nodes if any(word in node for word in EXPORTERS)]:
        yield (
            f"the nodes of boards are named after the exporter's pods: {_some(pods)}; these change "
            "when a pod does. Let the scrape add a label node, or set NODE_NAME for the exporter"
        )


def _some(names: Collection[str]) -> str:
    """Return the first few names."""
    return ", ".join(shown(one) for one in sorted(names)[:3]) + (", ..." if len(names) > 3 else "")


def _alternatives(texts: Iterable[str]) -> Iterable[str]:
    """Yield regular expressions, quoted, that fit some texts each."""
    ordered = sorted(texts)
    for first in range(0, len(ordered), _AT_ONCE):
        yield quoted("|".join(map(re.escape, ordered[first : first + _AT_ONCE])))
