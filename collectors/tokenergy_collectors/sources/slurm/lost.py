"""Ends allocations whose epilog is lost: the job has no process left, or the node was restarted.

In: the allocations that go on, the processes of their jobs, and what Slurm says of them. Out: ends,
each with the instants between which it lies. An interactive job without a step has no process
either, so Slurm is asked before an absence counts; if it cannot be asked, the absence counts where
a process was seen before.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenergy_collectors.sources.slurm.held import End, Held
from tokenergy_collectors.sources.slurm.scontrol import JobFacts

S_US = 1_000_000


def restarted(held: Iterable[Held], boot_us: int) -> list[Held]:
    """End what began before the node was started (us UTC); return what was ended."""
    ended = []
    for one in held:
        # The stamps of boot and prolog come from clocks that may differ by a moment.
        if one.end is None and one.start_us < boot_us - S_US:
            one.end = End(boot_us, "boot", one.known_us, boot_us)
            ended.append(one)
    return ended


def watch(held: Iterable[Held], alive: set[str], now_us: int, grace_us: int) -> list[Held]:
    """Note which jobs have processes now; return those that have had none for `grace_us`.

    Args:
        held: allocations that go on.
        alive: jobs that have a process.
        now_us: now (us UTC).
        grace_us: how long to wait for the epilog.
    """
    missing = []
    for one in held:
        if one.job_id in alive:
            one.alive_us, one.absent_us = now_us, None
        elif one.absent_us is None:
            one.absent_us = now_us
        elif now_us - one.absent_us >= grace_us:
            missing.append(one)
    return missing


def conclude(one: Held, facts: JobFacts | None, now_us: int) -> bool:
    """Decide, by Slurm's answer, whether an absent job has ended; return whether it has.

    Args:
        one: the allocation; it gets its end.
        facts: the answer; None if Slurm does not know the job any more.
        now_us: now (us UTC).
    """
    if facts is not None and not facts.over and facts.restarts <= one.restart:
        one.absent_us = now_us  # look again when the time has passed once more
        return False
    before_us = one.gone_us(now_us)
    after_us = min(one.known_us, before_us)
    end_us = before_us
    if facts is not None and facts.end_s is not None and facts.restarts <= one.restart:
        # Slurm prints whole seconds: the end is somewhere in that one.
        after_us = min(max(after_us, facts.end_s * S_US), before_us)
        before_us = max(after_us, min(before_us, (facts.end_s + 1) * S_US))
        end_us = (after_us + before_us) // 2
    one.end = End(end_us, "scontrol", after_us, before_us)
    return True


def refine(one: Held, facts: JobFacts | None) -> bool:
    """Narrow a concluded end to the second that Slurm tells; return whether it did."""
    told = facts is not None and facts.over and facts.restarts <= one.restart
    if one.end is None or facts is None or not told or facts.end_s is None:
        return False
    after_us = max(one.end.after_us, facts.end_s * S_US)
    before_us = min(one.end.before_us, (facts.end_s + 1) * S_US)
    if after_us > before_us:  # the two contradict each other: what was seen here counts
        return False
    one.end = End((after_us + before_us) // 2, "scontrol", after_us, before_us)
    return True


def conclude_alone(one: Held) -> bool:
    """Decide without Slurm whether an absent job has ended; return whether it has."""
    if one.alive_us is None or one.absent_us is None:
        return False
    one.end = End(one.absent_us, "absent", one.known_us, one.absent_us)
    return True
