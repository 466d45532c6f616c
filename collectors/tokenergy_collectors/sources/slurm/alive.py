"""Whether a job still has processes on this node: evidence that does not need its epilog.

In: /proc and the cgroups of slurmd. Out: whether a job's slurmstepd, or any process in its cgroup,
was found. Titles of slurmstepd: `slurmstepd: [17.batch]`. Cgroups: v1 `/slurm/uid_U/job_J`, v2
`slurmstepd.scope/job_J`. Both may be read by everybody; environments may not.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

_SEARCH_EVERY_S = 5.0
"""How often all processes are looked through while a job without one goes on."""

_TITLE = re.compile(rb"slurmstepd: \[(\d+)\.", re.ASCII)
_CGROUP = re.compile(r"/(?:slurm[^/]*|[^/]*slurmstepd\.scope)/(?:[^\n]*/)?job_(\d+)(?:/|$)", re.M)


class Processes:
    """The processes of jobs on this node.

    Args:
        proc: where the kernel shows processes.
        title_uid: who may call itself slurmstepd: everybody may choose the title of a process.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        proc: Path = Path("/proc"),
        title_uid: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._next_s = 0.0
        self._proc = proc
        self._title_uid = title_uid
        self._known: dict[str, str] = {}
        """A process of each job that was found: looking at one is cheap, searching all is not."""

    def alive(self, jobs: Collection[str]) -> set[str]:
        """Return those of some jobs that have a process now."""
        wanted = set(jobs)
        found = {
            job for job in wanted & self._known.keys() if job in self._jobs_of(self._known[job])
        }
        # A process that is gone may have left others of its job: that is looked up at once.
        gone = wanted & self._known.keys() - found
        if found < wanted and (gone or self._clock() >= self._next_s):
            self._next_s = self._clock() + _SEARCH_EVERY_S
            self._known = {job: self._known[job] for job in found}
            for job, pid in self._search():
                if job in wanted:
                    self._known.setdefault(job, pid)
            found = wanted & self._known.keys()
        return found

    def _search(self) -> Iterator[tuple[str, str]]:
        try:
            pids = [path.name for path in self._proc.iterdir() if path.name.isdigit()]
        except OSError:
            return
        for pid in pids:
            for job in self._jobs_of(pid):
                yield job, pid

    def _jobs_of(self, pid: str) -> set[str]:
        """Return the jobs that a process belongs to: none if it has ended, one as a rule."""
        place = self._proc / pid
        found: set[str] = set()
        try:
            title = _TITLE.match((place / "cmdline").read_bytes())
            if title and place.stat().st_uid == self._title_uid:
                found.add(title[1].decode())
            found |= set(_CGROUP.findall((place / "cgroup").read_text("utf-8", "replace")))
        except OSError:  # it ended meanwhile, or is hidden
            pass
        return found
