"""The steps behind `swings` and `comply`: options in, results on the terminal out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.progress import progress_bar
from tokenergy_collectors.lake import Lake
from tokenergy_sql.gridload import complying, parts, sharing
from tokenergy_sql.gridload.boundary import parse_boundary
from tokenergy_sql.gridload.limits import load_limits
from tokenergy_sql.gridload.spans import require_readings
from tokenergy_sql.gridload.window import span_or_last
from tokenergy_sql.terminal import complytable, swingtable
from tokenergy_sql.terminal.arguments import parse_span
from tokenergy_sql.terminal.output import Output
from tokenergy_transforms.loadprofile.profile import parse_step

Found = TypeVar("Found")


def show_swings(
    root: Path,
    by: str,
    start: str | None,
    until: str | None,
    step: str,
    boundary: str,
    output: Output,
) -> None:
    """Print whose swing the load of each place is.

    Raises:
        UserError: an option has an unusable value, or the lake has no readings in the span.
    """
    require(by)
    swingtable.require_columns(output)
    step_us, where = parse_step(step), parse_boundary(boundary)
    lake, from_us, until_us = _opened(root, start, until)

    def work(say: Callable[[str], None]) -> list[sharing.Shared]:
        with parts.places(lake, by, from_us, until_us, step_us, where, say) as found:
            return [sharing.share(place, say) for place in found]

    found = _shown("swings", work)
    if not found:
        raise nothing_there(by)
    swingtable.print_swings(found, output)


def show_limits(
    root: Path,
    limits_file: Path,
    by: str,
    start: str | None,
    until: str | None,
    step: str,
    allow_unobservable: bool,
    output: Output,
) -> bool:
    """Print which limits are kept; return whether all are.

    Raises:
        UserError: the limits or an option cannot be used, or the lake has no readings in the span.
    """
    require(by)
    complytable.require_columns(output)
    limits, step_us = load_limits(limits_file), parse_step(step)
    lake, from_us, until_us = _opened(root, start, until)

    def work(say: Callable[[str], None]) -> list[complying.Result]:
        return complying.comply(lake, limits, by, from_us, until_us, step_us, say)

    results = _shown("comply", work)
    if not results:
        raise nothing_there(by)
    complytable.print_results(results, output)
    return not complying.at_fault(results, allow_unobservable)


def nothing_there(by: str) -> UserError:
    """Return the error of a span in which no place of a kind was read."""
    return UserError(
        f"--by {by}: no board that was read in this span has a {by}; set `{by}` in collect.toml"
    )


def require(by: str) -> None:
    """Return if there is such a kind of place.

    Raises:
        UserError: there is none.
    """
    if by not in parts.PLACES:
        raise UserError(f"--by {by!r}: expected {' or '.join(parts.PLACES)}")


def _opened(root: Path, start: str | None, until: str | None) -> tuple[Lake, int, int]:
    lake = Lake(root)
    given = None if start is None and until is None else parse_span(start, until)
    from_us, until_us = span_or_last(lake, given)
    require_readings(lake, from_us, until_us)
    return lake, from_us, until_us


def _shown(name: str, work: Callable[[Callable[[str], None]], Found]) -> Found:
    with progress_bar() as progress:
        task = progress.add_task(name, total=None)

        def say(what: str) -> None:
            progress.update(task, description=f"{name} {what}")

        return work(say)
