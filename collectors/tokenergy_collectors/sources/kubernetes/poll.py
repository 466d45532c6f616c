"""One look at the kubelet and at the host's traces of pods, in a thread of its own.

In: the kubelet, the folders, the boards. Out: what has changed, and what has to be said once. The
boards are read, and the changes stamped, in the sampling thread (`source`).
"""

from __future__ import annotations

from tokenergy_collectors.base.problems import Problems
from tokenergy_collectors.sources.kubernetes.claims import Slices
from tokenergy_collectors.sources.kubernetes.devices import Devices, JobOf, Use, shares_of_jobs
from tokenergy_collectors.sources.kubernetes.holdings import Answer, Change, Holdings
from tokenergy_collectors.sources.kubernetes.kubelet import Kubelet, KubeletError
from tokenergy_collectors.sources.kubernetes.pods import Held, Listed, read_pods
from tokenergy_collectors.sources.kubernetes.settings import Kubernetes
from tokenergy_collectors.sources.kubernetes.traces import Traces
from tokenergy_collectors.sources.nvml.boards import Board
from tokenergy_collectors.sources.source import EmitEvent

SETTLE_US = 30_000_000
"""How long a kubelet that has just started may list too little: until it knows its pods again."""

_ALLOCATABLE_EVERY_US = 60_000_000


class Poll:
    """Asks one kubelet again and again; for one thread.

    Args:
        settings: how to ask it.
        boards: the boards of this host, as they are now.
        emit: records an event and writes it to the log.
        job_of: returns the job of a container.

    Attributes:
        holdings: the allocations that have not ended.

    Raises:
        UserError: a package is missing.
    """

    def __init__(
        self, settings: Kubernetes, boards: list[Board], emit: EmitEvent, job_of: JobOf
    ) -> None:
        self._settings = settings
        self._job_of = job_of
        self._emit = emit
        self._kubelet = Kubelet(settings.socket, settings.timeout_s, settings.limit_mib)
        self._slices = Slices(settings.resource_slices)
        self._devices = Devices(boards, self._slices)
        self._traces = Traces(settings.pod_logs, settings.cgroups)
        self.holdings = Holdings(self._traces)
        self._problems = Problems()
        self._said: set[str] = set()
        self._place: tuple[int, int] | None = None
        self._since_us: int | None = None
        self._allocatable_us: int | None = None
        self._silent_us: int | None = None
        self._is_lost = False
        self._closed = False

    def look(self, now_us: int) -> tuple[list[Change], str | None]:
        """Return what has changed, and why the kubelet did not answer; None if it did.

        Args:
            now_us: the stamp of this instant (us UTC).
        """
        self._traces.look()
        self._note("pods", self._traces.problem)
        self._note("slices", self._slices.look())
        try:
            answer = self._ask(now_us)
        except KubeletError as error:
            if self._closed:  # the question was cut off at the stop
                return [], None
            self._unanswered(now_us, str(error))
            return self.holdings.step(None, now_us), str(error)
        self._answered()
        changes = self.holdings.step(answer, now_us)
        for device in sorted(self.holdings.contested):
            self._say_once(
                f"several pods have {device}, and nothing tells which of them has ended: it is "
                "booked to all of them in parts"
            )
        return changes, None

    def close(self) -> None:
        """Close the connection, and end a question under way."""
        self._closed = True
        self._kubelet.close()

    def _ask(self, now_us: int) -> Answer:
        """Ask the kubelet.

        Raises:
            KubeletError: it does not answer.
        """
        place = self._kubelet.place()
        if place != self._place or self._silent_us is not None:
            # It has started again, maybe between two questions. It lists its pods bit by bit.
            self._place, self._since_us, self._allocatable_us = place, now_us, None
        settings = self._settings
        listed = read_pods(self._kubelet.pods(), settings.resource_prefix, settings.dra_driver)
        held = [one for one in listed.held if not self._traces.ended(one.owner)]
        self._look_at_replicas(held, now_us)
        uses = shares_of_jobs(self._devices.uses(held), self._job_of)
        self._report(listed, uses)
        settled = self._since_us is not None and now_us - self._since_us >= SETTLE_US
        return Answer(uses, settled)

    def _look_at_replicas(self, held: list[Held], now_us: int) -> None:
        """Ask how many replicas there are: now and then, and when a pod has one of a new device."""
        unknown = sorted({h.device for h in held if not self._devices.replicas_known(h.device)})
        due_us = (self._allocatable_us or 0) + _ALLOCATABLE_EVERY_US
        if now_us < due_us and not unknown:
            return
        self._allocatable_us = now_us
        try:
            self._devices.set_allocatable(self._kubelet.allocatable())
        except KubeletError as error:
            if unknown:
                self._note("replicas", f"{error}; {_GUESS}")
        else:
            self._problems.is_over("replicas")

    def _report(self, listed: Listed, uses: dict[Held, Use]) -> None:
        for name in sorted(listed.refused):
            self._say_once(f"{name}: left out")
        for held, use in uses.items():
            if use.problem is not None:
                self._say_once(
                    f"{held.resource} of {held.namespace}/{held.pod}: {held.device} {use.problem}; "
                    "it is recorded by this name, without energy"
                )

    def _unanswered(self, now_us: int, why: str) -> None:
        if self._silent_us is None:
            self._silent_us = now_us
        silent_us = now_us - self._silent_us
        if silent_us >= self._settings.lost_after_s * 1_000_000 and not self._is_lost:
            self._is_lost = True
            self._emit("kubelet_lost", None, why)

    def _answered(self) -> None:
        self._silent_us = None
        if self._is_lost:
            self._is_lost = False
            self._emit("kubelet_found", None, "the kubelet answers again")

    def _note(self, what: str, why: str | None) -> None:
        """Report a lasting problem once, until it is over."""
        if why is None:
            self._problems.is_over(what)
        elif self._problems.is_new(what, why):
            self._emit("error", None, f"kubernetes: {why}")

    def _say_once(self, text: str) -> None:
        # Bounded: names that change at every question must not fill memory or the event table.
        if text not in self._said and len(self._said) < _MOST_SAID:
            self._said.add(text)
            self._emit("error", None, f"kubernetes: {text}")


_MOST_SAID = 1_000
_GUESS = "how many replicas its devices have is taken from those that pods have"
