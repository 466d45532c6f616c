"""The steps behind the commands: each does one thing to a lake and says so on the terminal.

In: paths and options as given. Out: files in the lake, lines on standard output, progress on
standard error. The DAG calls the layers below, not this file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.progress import progress_bar
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.paths import hour_of, partition
from tokenergy_sql.index.site import load_site
from tokenergy_transforms import choice, cuts

if TYPE_CHECKING:
    from tokenergy_sql.index.pipeline import Indexed
    from tokenergy_transforms.aggregate import Aggregated
    from tokenergy_transforms.loadprofile.profile import Profiled


def parse_hours(texts: Sequence[str] | None) -> list[int] | None:
    """Return the starts of hours given as ISO 8601 (UTC if no offset), in microseconds; or None.

    Raises:
        UserError: one cannot be read.
    """
    if not texts:
        return None
    return [parse_hour(text) for text in texts]


def parse_hour(text: str) -> int:
    """Return the start of the hour in which an ISO 8601 instant lies, in microseconds UTC.

    Raises:
        UserError: it cannot be read.
    """
    try:
        moment = datetime.fromisoformat(text if len(text) != 13 else f"{text}:00")
    except ValueError:
        raise UserError(f"hour {text!r}: expected ISO 8601, such as 2026-01-15T08") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return hour_of(int(moment.timestamp()) * 1_000_000)


def aggregate_hours(
    root: Path,
    hours: list[int] | None,
    nodes: Sequence[str] | None,
    window: str,
    device: str,
    memory: str = "2GiB",
) -> list[Aggregated]:
    """Aggregate all (hour, node) pairs that have something to aggregate, or the chosen ones.

    Raises:
        UserError: an option cannot be used.
    """
    from tokenergy_transforms.aggregate import Aggregator, worklist
    from tokenergy_transforms.inventory import read_inventory
    from tokenergy_transforms.workunits import parse_memory

    lake = Lake(root)
    window_us = cuts.parse_window(window)
    back_end = choice.parse_device(device)
    memory_bytes = parse_memory(memory)
    inventory = read_inventory(lake)
    work = [pair for pair in worklist(lake, hours, inventory) if not nodes or pair[1] in nodes]
    aggregator = Aggregator(lake, window_us, back_end, inventory, memory_bytes)
    done: list[Aggregated] = []
    with progress_bar() as progress:
        task = progress.add_task("aggregate", total=len(work))

        def report(hour_us: int, node: str, share: float) -> None:
            what = f"aggregate {node} {partition(hour_us)}"
            progress.update(task, description=what, completed=len(done) + share)

        done.extend(aggregator.run(work, report))
    return done


def profile_hours(
    root: Path, hours: list[int] | None, by: str, step: str, device: str
) -> list[Profiled]:
    """Write the load profiles and spectra of all hours with readings, or of the chosen ones.

    Raises:
        UserError: an option cannot be used.
    """
    from tokenergy_transforms.inventory import read_inventory
    from tokenergy_transforms.loadprofile import groups, profile

    kinds, step_us = groups.parse_kinds(by), profile.parse_step(step)
    back_end = choice.parse_device(device)
    lake = Lake(root)
    work, inventory = profile.worklist(lake, hours), read_inventory(lake)
    done = []
    with progress_bar() as progress:
        task = progress.add_task("load-profile", total=len(work))
        for hour in work:

            def report(what: str, hour: int = hour) -> None:
                progress.update(task, description=f"load-profile {partition(hour)} {what}")

            done.append(
                profile.profile_hour(lake, hour, kinds, step_us, back_end, inventory, report)
            )
            progress.advance(task)
    return done


def print_profiles(root: Path, hours: list[int]) -> None:
    """Print the load profiles of some hours, the largest load first."""
    from tokenergy_sql.terminal.loadtable import load_table
    from tokenergy_sql.terminal.table import console

    table = load_table(Lake(root), hours)
    if table.row_count:
        console().print(table)


def index_hours(
    root: Path, hours: list[int] | None, site_file: Path | None, anew: bool = False
) -> Indexed:
    """Index what is stale of all hours, or of the chosen ones; say what was done.

    Raises:
        UserError: the site file cannot be used.
    """
    from tokenergy_sql.index.pipeline import index

    lake = Lake(root)
    site = load_site(site_file, lake.root)
    with progress_bar() as progress:
        task = progress.add_task("index", total=None)

        def told(what: str) -> None:
            progress.update(task, description=f"index {what}")

        return index(lake, site, hours, told, anew=anew)


def described(done: Indexed) -> str:
    """Return in words how many jobs there are, which hours were derived and why."""
    from tokenergy_sql.report.format import counted

    jobs, hours = counted(done.jobs, "job"), counted(done.hours, "hour")
    if not done.causes:
        return f"{jobs}; nothing has changed in {hours}"
    counts = Counter(cause for causes in done.causes.values() for cause in causes or ["asked for"])
    why = ", ".join(f"{cause} {count}" for cause, count in sorted(counts.items()))
    revision = f"revision {done.revision}" if done.revision else "the same as before"
    return f"{jobs}; {len(done.causes)} of {hours} derived ({why}); {revision}"


def print_checks(root: Path, limit: int, hours: list[int] | None = None) -> bool:
    """Run the checks (the hourly ones on some hours), print them, tell whether none failed."""
    from tokenergy_sql.checks.checking import run_checks

    passed = True
    for finding in run_checks(Lake(root), hours):
        print("\n".join(finding.lines(limit)))
        passed = passed and not finding.breach
    return passed


def write_report(root: Path, out: Path) -> Path:
    """Write the report page and return its path.

    Raises:
        UserError: there is nothing to report, or the page cannot be written.
    """
    from tokenergy_sql.report import build_report

    return build_report(Lake(root), out)


def print_score(root: Path, truth: Path) -> bool:
    """Compare a lake with the truth, print a line a job, and tell whether all bounds are met."""
    from rich.table import Table
    from rich.text import Text

    from tokenergy_sql.demo.score import score
    from tokenergy_sql.terminal.table import console

    files = sorted(truth.glob("*.json"))
    if not files:
        raise UserError(f"{truth}: no truth files (*.json)")
    table = Table(title="Against the truth", title_justify="left", show_edge=False, pad_edge=False)
    table.add_column("job")
    for name in ("true kJ", "found kJ", "error %", "tokens", "truth in [low, high]", "verdict"):
        table.add_column(Text(name), justify="right")  # brackets are no markup
    rows = score(Lake(root), files)
    for row in rows:
        table.add_row(
            row.job_id,
            f"{row.true_nj / 1e12:,.3f}",
            "-" if row.found_nj is None else f"{row.found_nj / 1e12:,.3f}",
            "-" if row.error is None else f"{100 * row.error:+.4f}",
            "exact" if row.tokens_exact else "DIFFER",
            "yes" if row.inside else "NO",
            "ok" if row.passed else "MISS",
        )
    console().print(table)
    return all(row.passed for row in rows)


def run_demo(folder: Path, profile: str, with_score: bool) -> bool:
    """Run the demo; return whether the checks, and the score if asked for, came out well."""
    from tokenergy_sql.demo import demo
    from tokenergy_sql.terminal.table import WIDE_COLUMNS, console, job_table

    what = demo.describe(profile)
    demo.prepare(folder)
    print(f"collect    {what}", flush=True)
    with progress_bar() as progress:
        demo.collect(folder, profile, progress)
    lake = folder / "lake"
    done = aggregate_hours(lake, None, None, "1s", "cpu")
    readings, segments = sum(d.readings for d in done), sum(d.segments for d in done)
    print(f"aggregate  {readings:,} readings to {segments:,} segments", flush=True)
    print(f"index      {index_hours(lake, None, None).jobs} jobs", flush=True)
    passed = print_checks(lake, 5)
    out = write_report(lake, folder / "report.html")
    print()
    terminal = console()
    terminal.print(job_table(Lake(lake), wide=terminal.width >= WIDE_COLUMNS))
    if with_score:
        print()
        passed = print_score(lake, folder / "truth") and passed
    print(f"\nreport: {out}")
    return passed
