"""When a run began and ended: what its file says, and what the user must say.

In: a `Run`, the options `--start`, `--end` and `--tz`. Out: a `Span`. No zone and no start is ever
assumed: a run that is placed a minute off divides the energy of another minute.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokenergy_collectors.base.csvfile import BadValueError
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.instants import is_instant
from tokenergy_collectors.base.timestamps import StampReader
from tokenergy_collectors.importers.benchmark.run import US_PER_S, Run

_NEAR_US = 2 * US_PER_S
"""How far two instants that the user gives may be from the duration that the file has."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the user says of the times of a run; None: nothing.

    Attributes:
        start: when its first request was sent.
        end: when its last answer came.
        tz: time zone of local times in the file.
    """

    start: str | None = None
    end: str | None = None
    tz: str | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """When a run began and ended, microseconds UTC, and how far both may be off."""

    start_us: int
    end_us: int
    doubt_us: int = 0


def span_of(run: Run, said: Said) -> Span:
    """Return when a run was.

    Raises:
        UserError: the file does not say it, and neither does the user; or they contradict each
            other. The message names the option.
    """
    start_us, end_us = _instant(said.start, "--start"), _instant(said.end, "--end")
    if run.start_us is not None and run.end_us is not None:
        if start_us is not None or end_us is not None:
            option = "--start" if start_us is not None else "--end"
            raise UserError(f"{option}: the file says when each request was; leave it out")
        return _checked(Span(run.start_us, run.end_us))
    if start_us is not None or end_us is not None:
        return _checked(_given(run, start_us, end_us))
    if said.tz is None:
        raise UserError(_what_to_say(run))
    return _checked(_local(run, said.tz))


def _given(run: Run, start_us: int | None, end_us: int | None) -> Span:
    took_us = run.duration_us
    if start_us is not None and end_us is not None:
        if took_us is not None and abs(end_us - start_us - took_us) > _NEAR_US:
            raise UserError(
                f"--start and --end are {_seconds(end_us - start_us)} apart, and the file says "
                f"that the run took {_seconds(took_us)}: give one of them"
            )
        return Span(start_us, end_us)
    if took_us is None:
        raise UserError("--start, --end: the file has no duration; give both")
    if start_us is not None:
        return Span(start_us, start_us + took_us)
    return Span((end_us or 0) - took_us, end_us or 0)


def _local(run: Run, tz: str) -> Span:
    """Return the span that local times of the file give in a zone."""
    end_us = _in_zone(run.local_end, tz)
    if end_us is None:
        raise UserError(f"--tz {tz}: the file has no time of its end; give --start or --end")
    start_us = _in_zone(run.local_start, tz)
    if start_us is not None:
        return Span(start_us, end_us)
    if run.duration_us is None:
        raise UserError(f"--tz {tz}: the file has no time of its start; give --start and --end")
    return Span(end_us - run.duration_us, end_us, run.late_us)


def _in_zone(text: str | None, tz: str) -> int | None:
    if text is None:
        return None
    clock = StampReader(tz)
    try:
        found_us = clock.read(text)
    except BadValueError as error:
        raise UserError(str(error)) from None
    if clock.ambiguous:
        raise UserError(
            f"--tz {tz}: {text} came twice there, when the clocks went back; give --start or --end"
        )
    return found_us


def _instant(text: str | None, option: str) -> int | None:
    """Return an instant that the user gives; it must have an offset, or be Unix seconds."""
    if text is None:
        return None
    try:
        # Read in two zones: what differs has no offset, and is no instant.
        found = {StampReader(tz).read(text) for tz in ("UTC", "Etc/GMT-3")}
    except BadValueError as error:
        raise UserError(f"{option}: {error}") from None
    if len(found) > 1:
        raise UserError(
            f"{option} {text!r}: has no time zone: expected an offset, such as {text}Z for UTC or "
            f"{text}+01:00"
        )
    return found.pop()


def _what_to_say(run: Run) -> str:
    if run.local_start is not None:
        return (
            f"start_time {run.local_start} is local time of an unknown zone: give the client's "
            "--tz, or --start, or import profile_export.jsonl, whose stamps are UTC"
        )
    if run.local_end is not None:
        return (
            f"the file does not say when the run began; its date {run.local_end} is local time of "
            "an unknown zone, a moment after the end: give --end (or --start) as an instant, or "
            "the client's --tz"
        )
    return "the file does not say when the run began: give --start or --end"


def _checked(span: Span) -> Span:
    for stamp_us in (span.start_us, span.end_us):
        if not is_instant(stamp_us):
            raise UserError("the run is outside the years 2000 to 2099: expected another time")
    if span.end_us <= span.start_us:
        raise UserError("the run ends where it begins: expected some time between them")
    return span


def _seconds(us: int) -> str:
    return f"{us / US_PER_S:,.1f} s"
