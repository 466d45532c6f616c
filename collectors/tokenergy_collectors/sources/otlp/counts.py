"""Follows the counts that senders push.

In: blocks of OTLP metrics, from threads of the server. Out: for each count its latest total, and
what to tell about senders without a job.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tokenergy_collectors.lake.jobkey import checked_cluster
from tokenergy_collectors.sources.otlp.messages import attributes
from tokenergy_collectors.sources.otlp.points import Block, Point, read
from tokenergy_collectors.sources.otlp.settings import Otlp
from tokenergy_collectors.sources.tokens.page import labels_text

MOST_COUNTS = 10_000
"""Counts that are followed at once. Points of further ones are refused."""

_MOST_TOLD = 100
_LONGEST_NAME = 512
_LONGEST_SERIES = 4096
_LATELY = 64
_OF_DELTAS = -1
_SENDER = (
    "service.namespace", "service.name", "service.instance.id", "process.pid", "host.name",
    "k8s.namespace.name", "k8s.pod.name", "k8s.pod.uid", "container.id",
)  # fmt: skip
"""Resource attributes that are kept as labels: they tell one sender from another."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who counts: service, job and cluster, and the labels that tell it from other senders."""

    service: str
    job_id: str
    cluster: str | None
    labels: Mapping[str, str]


@dataclass(slots=True)
class Count:
    """One count: who counts what, and how far it is.

    Attributes:
        sender, kind, metric, model: see `Sender` and `Point`.
        series: all its labels, as `tokens.series` has them.
        total: tokens since `start_ns`.
        cached: the part of them that a cache had.
        start_ns: when it was zero; 0 if unknown.
        time_ns: when it was read; 0 before the first point.
        ts_us: when that came (us UTC).
        new: whether it moved on since it was last taken.
        lately: the latest deltas, each its start, its time and its value.
    """

    sender: Sender
    kind: str
    metric: str
    model: str | None
    series: str
    start_ns: int
    total: int = 0
    cached: int = 0
    time_ns: int = 0
    ts_us: int = 0
    new: bool = True
    lately: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=_LATELY))


Key = tuple[str, str | None, str, str, str, int]
"""What a count is: job, cluster, kind, metric, labels; and its start, which tells processes apart
that have the same labels. A sum of deltas goes on through all of them: there it is -1."""


class Counts:
    """All counts; methods may be called from several threads.

    Args:
        settings: where jobs are named, and what is mapped.
        now_us: returns the stamp of now (us UTC).
    """

    def __init__(self, settings: Otlp, now_us: Callable[[], int]) -> None:
        self._settings = settings
        self._now_us = now_us
        self._lock = threading.Lock()
        self._counts: dict[Key, Count] = {}
        self._homeless: dict[str, bool] = {}
        self.without_job = 0

    def note(self, blocks: list[Any]) -> tuple[int, str]:
        """Take the blocks of a request; return how many points were refused, and a reason."""
        read_blocks = [
            (attributes(block.resource.attributes), read(block, self._settings.mapping))
            for block in blocks
        ]
        with self._lock:
            for resource, found in read_blocks:
                self._note(resource, found)
        refused = sum(found.refused for _, found in read_blocks)
        return refused, next((found.why for _, found in read_blocks if found.why), "")

    def take(self) -> tuple[list[Count], list[str]]:
        """Return the counts that moved on, and services without a job that were not told yet."""
        with self._lock:
            found = [replace(one) for one in self._counts.values() if one.new]
            for one in self._counts.values():
                one.new = False
            untold = [service for service, told in self._homeless.items() if not told]
            self._homeless.update(dict.fromkeys(untold, True))
        return found, untold

    def forget(self, before_us: int) -> list[Count]:
        """Forget counts of which nothing came since an instant (us UTC); return them."""
        with self._lock:
            old = [k for k, one in self._counts.items() if one.ts_us < before_us and not one.new]
            return [self._counts.pop(key) for key in old]

    def _note(self, resource: Mapping[str, str], found: Block) -> None:
        if not found.points:
            return
        service = resource.get("service.name", "unknown_service")
        try:
            job_id = self._job_of(resource)
            sender = None if job_id is None else _sender(service, job_id, resource)
        except ValueError as error:
            found.refuse(len(found.points), str(error))
            return
        if sender is None:
            self._note_homeless(service, found)
            return
        for point in found.points:
            self._follow(sender, point, found)

    def _note_homeless(self, service: str, found: Block) -> None:
        self.without_job += len(found.points)
        if len(self._homeless) < _MOST_TOLD:
            self._homeless.setdefault(service[:_LONGEST_NAME], False)
        names = " or ".join(self._settings.job_attributes) or "service.name"
        found.refuse(
            len(found.points),
            f"{service[:_LONGEST_NAME]!r} has no job: set the resource attribute {names}, or name "
            "the service in [otlp.jobs]",
        )

    def _job_of(self, resource: Mapping[str, str]) -> str | None:
        """Return the job that a sender names, or that its service has; never a guess."""
        for name in self._settings.job_attributes:
            if found := resource.get(name, "").strip():
                return found
        return self._settings.jobs.get(resource.get("service.name", ""))

    def _follow(self, sender: Sender, point: Point, found: Block) -> None:
        labels = {**point.labels, **sender.labels}
        key = (
            sender.job_id, sender.cluster, point.kind, point.metric, labels_text(labels),
            _OF_DELTAS if point.delta else point.start_ns,
        )  # fmt: skip
        one = self._counts.get(key)
        if one is None:
            if len(self._counts) >= MOST_COUNTS:
                found.refuse(1, f"more than {MOST_COUNTS} counts at once")
                return
            series = labels_text({**labels, "otlp.start": str(point.start_ns)})
            if len(series) > _LONGEST_SERIES:
                found.refuse(1, f"{point.metric} has more than {_LONGEST_SERIES} bytes of labels")
                return
            one = self._counts[key] = Count(
                sender, point.kind, point.metric, point.model, series, point.start_ns
            )
        self._move(one, point)

    def _move(self, one: Count, point: Point) -> None:
        if point.delta:
            told = (point.start_ns, point.time_ns, point.value)
            # A sender that got no answer sends again. Several processes may have the same labels:
            # their deltas overlap, so only what is the same in everything has been counted.
            if told in one.lately:
                return
            one.lately.append(told)
            one.total += point.value
            one.cached += point.cached or 0
        elif point.time_ns <= one.time_ns:
            return
        else:
            one.total = point.value
            # The part from a cache may come in another message: it does not fall to 0 meanwhile.
            one.cached = one.cached if point.cached is None else point.cached
        one.time_ns = max(one.time_ns, point.time_ns)
        one.ts_us, one.new = self._now_us(), True


def _sender(service: str, job_id: str, resource: Mapping[str, str]) -> Sender:
    """Return who counts.

    Raises:
        ValueError: a name cannot be used.
    """
    for name in (service, job_id):
        if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
            raise ValueError(
                f"{name[:40]!r} is not a printable text of 1 to {_LONGEST_NAME} characters"
            )
    cluster = checked_cluster(resource.get("tokenergy.cluster"))
    labels = {name: resource[name] for name in _SENDER if name in resource}
    return Sender(service, job_id, cluster, labels)
