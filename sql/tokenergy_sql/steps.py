"""The steps behind the commands: each does one thing to a lake and shows it on the terminal.

In: paths and options as the user gave them. Out: files in the lake, lines on standard output,
progress on standard error. The DAG calls the layers below, not this file.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.progress import progress_bar
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.expired import read_expired
from tokenergy_collectors.lake.paths import partition
from tokenergy_sql.index import newer, segments
from tokenergy_sql.index.site import load_site
from tokenergy_sql.terminal.arguments import (
    READINGS,
    SEGMENTS,
    parse_span,
    parse_window,
    require_hours,
    require_known,
    require_nodes,
)
from tokenergy_sql.terminal.nextstep import is_empty, next_step, require_readings
from tokenergy_transforms import choice, cuts

if TYPE_CHECKING:
    from tokenergy_sql.gridload.spans import Span
    from tokenergy_sql.index.pipeline import Indexed
    from tokenergy_sql.terminal.output import Output
    from tokenergy_transforms.aggregate import Aggregated
    from tokenergy_transforms.inventory import Inventory
    from tokenergy_transforms.loadprofile.profile import Profiled


def aggregate_hours(
    root: Path,
    hours: list[int] | None,
    nodes: Sequence[str] | None,
    window: str,
    device: str,
    memory: str = "2GiB",
) -> list[Aggregated]:
    """Aggregate every (hour, node) pair that has readings, or only the chosen ones.

    Raises:
        UserError: an option has an unusable value, or the lake has no such hour or node.
    """
    from tokenergy_transforms.aggregate import Aggregator, worklist
    from tokenergy_transforms.inventory import read_inventory
    from tokenergy_transforms.workunits import parse_memory

    lake = Lake(root)
    window_us = cuts.parse_window(window)
    back_end = choice.parse_device(device)
    memory_bytes = parse_memory(memory)
    inventory = read_inventory(lake)
    read_expired(lake.root).refuse(hours, ("power",))
    found = worklist(lake, hours, inventory)
    _require_work(lake, found, hours, nodes, inventory)
    work = [pair for pair in found if not nodes or pair[1] in nodes]
    aggregator = Aggregator(lake, window_us, back_end, inventory, memory_bytes)
    done: list[Aggregated] = []
    with progress_bar() as progress:
        task = progress.add_task("aggregate", total=len(work))

        def show_progress(hour_us: int, node: str, share: float) -> None:
            what = f"aggregate {node} {partition(hour_us)}"
            progress.update(task, description=what, completed=len(done) + share)

        done.extend(aggregator.run(work, show_progress))
    return done


def _require_work(
    lake: Lake,
    work: Sequence[tuple[int, str]],
    hours: Sequence[int] | None,
    nodes: Sequence[str] | None,
    inventory: Inventory,
) -> None:
    """Refuse chosen hours and nodes that the lake has nothing of."""
    from tokenergy_transforms.aggregate import worklist

    if hours and not {*hours} <= {hour for hour, _ in work}:
        # Only now: to list every hour of a large lake takes a while.
        require_known(lake, hours, {hour for hour, _ in worklist(lake, None, inventory)})
    if nodes:
        known = {node for _, node in work} | {*inventory.devices["node"].to_pylist()}
        require_nodes(lake, nodes, known | {*inventory.last_hours})


def aggregate_outdated(lake: Lake, hours: list[int] | None) -> None:
    """Aggregate the nodes and hours whose segments are missing or outdated; print a line if any.

    Segments keep their window; new ones get the default. Another line names the nodes and hours
    with newer readings that cannot be booked, since the earlier ones are gone.
    """
    found = segments.aggregate_outdated(lake, hours)
    written = sum(1 for one in found.done if one.segments)
    if written:
        what = "node-hour" if written == 1 else "node-hours"
        print(
            f"aggregate: {written} {what} first, whose readings or job edges are newer", flush=True
        )
    if found.waiting:
        print(newer.waiting_line(found.waiting), flush=True)


def profile_hours(
    root: Path, hours: list[int] | None, by: str, step: str, device: str
) -> list[Profiled]:
    """Write the load profiles and spectra of every hour with readings, or of the chosen ones.

    Raises:
        UserError: an option has an unusable value, or the lake has no such hour.
    """
    from tokenergy_transforms.inventory import read_inventory
    from tokenergy_transforms.loadprofile import groups, profile

    kinds, step_us = groups.parse_kinds(by), profile.parse_step(step)
    back_end = choice.parse_device(device)
    lake = Lake(root)
    read_expired(lake.root).refuse(hours, ("power", "load_profile"))
    require_hours(lake, hours, READINGS)
    work, inventory = profile.worklist(lake, hours), read_inventory(lake)
    done = []
    with progress_bar() as progress:
        task = progress.add_task("load-profile", total=len(work))
        for hour in work:

            def show_progress(what: str, hour: int = hour) -> None:
                progress.update(task, description=f"load-profile {partition(hour)} {what}")

            done.append(
                profile.profile_hour(lake, hour, kinds, step_us, back_end, inventory, show_progress)
            )
            progress.advance(task)
    return done


def profile_one_span(
    root: Path,
    hours: list[str] | None,
    by: str,
    step: str,
    device: str,
    start: str | None,
    until: str | None,
    boundary: str,
    output: Output,
) -> Span:
    """Write the load profile of a span, and print it.

    Raises:
        UserError: an option has an unusable value, or the lake has no readings in the span.
    """
    from tokenergy_sql.gridload import spans
    from tokenergy_sql.gridload.boundary import parse_boundary
    from tokenergy_sql.terminal.loadtable import span_table
    from tokenergy_transforms.loadprofile import groups, profile

    if hours:
        raise UserError("--hour: expected it or --from and --until, not both")
    from_us, until_us = parse_span(start, until)
    kinds, step_us = groups.parse_kinds(by), profile.parse_step(step)
    where, back_end = parse_boundary(boundary), choice.parse_device(device)
    lake = Lake(root)
    with progress_bar() as progress:
        task = progress.add_task("load-profile", total=None)

        def show_progress(what: str) -> None:
            progress.update(task, description=f"load-profile {what}")

        done = spans.profile_span(
            lake, kinds, from_us, until_us, step_us, where, back_end, show_progress
        )
    table = span_table(lake, from_us, until_us, where)
    if table.rows:
        output.show_tables([table])
    return done


def require_boards(boundary: str) -> None:
    """Return if an hour's load profile has a boundary: it is that of boards.

    Raises:
        UserError: it is another one.
    """
    if boundary != "boards":
        raise UserError(f"--boundary {boundary}: is for a span; add --from and --until")


def print_profiles(root: Path, hours: list[int], output: Output) -> None:
    """Print the load profiles of some hours, the largest load first."""
    from tokenergy_sql.terminal.loadtable import load_table

    table = load_table(Lake(root), hours)
    if table.rows:
        output.show_tables([table])


def index_hours(
    root: Path,
    hours: list[int] | None,
    site_file: Path | None,
    rebuild_all: bool = False,
    shards: int = 1,
) -> Indexed:
    """Index the hours whose inputs have changed, of all hours or of the chosen ones.

    Segments that are older than their readings or job edges are aggregated first. `rebuild_all`
    indexes unchanged hours too. `shards` processes share the booking of a large hour. With chosen
    hours, a remark counts the others that have newer inputs: a job's index would add up old and new
    hours.

    Raises:
        UserError: the site file cannot be read or has a bad value, or the lake has no such hour.
    """
    from tokenergy_sql.index.pipeline import index

    lake = Lake(root)
    read_expired(lake.root).refuse(hours)
    require_hours(lake, hours, ("power", *SEGMENTS))
    site = load_site(site_file, lake.root)
    aggregate_outdated(lake, hours)
    with progress_bar() as progress:
        task = progress.add_task("index", total=None)

        def show_progress(what: str) -> None:
            progress.update(task, description=f"index {what}")

        done = index(
            *(lake, site, hours, show_progress),
            rebuild_all=rebuild_all,
            look_elsewhere=True,
            shards=shards,
        )
    others = newer.other_hours(lake, done.newer, hours)
    return replace(done, remarks=[*done.remarks, *([newer.others_line(others)] if others else [])])


def run_all(
    root: Path,
    hours: list[int] | None,
    site_file: Path | None,
    shards: int,
    jobs: int,
    output: Output,
) -> bool:
    """Aggregate, index and check what has changed, and print the jobs; return if all checks passed.

    Args:
        root: the lake.
        hours: starts of hours, microseconds UTC; all with changed inputs if None.
        site_file: see `index_hours`.
        shards: see `index_hours`.
        jobs: how many jobs to print, those with most energy.
        output: how to print them.

    Raises:
        UserError: the lake has no readings; and as `index_hours`.
    """
    from tokenergy_sql.terminal.jobtable import job_table

    lake = Lake(root)
    require_readings(lake)
    done = index_hours(root, hours, site_file, shards=shards)
    print(f"index: {summary(done)}", flush=True)
    for remark in done.remarks:
        print(remark)
    passed = _check_derived(lake, done)
    table = job_table(lake)
    all_jobs = len(table.rows)
    table.rows, table.source = table.rows[:jobs], table.source[:jobs]
    print()
    output.show_tables([table])
    if all_jobs > jobs:
        print(f"{jobs} of {all_jobs} jobs: those with most energy")
    return passed


def _check_derived(lake: Lake, done: Indexed) -> bool:
    """Check the hours that a run derived; print what is wrong and how many checks passed."""
    from tokenergy_sql.checks.checking import run_checks

    derived = sorted(done.causes)
    if not derived:
        print("check: nothing new to check; `tokenergy check` looks at all hours")
        return True
    from tokenergy_sql.terminal.table import say

    # All at once where all are new: checks without hours find what no hour shows by itself.
    findings = run_checks(lake, None if len(derived) == done.hours else derived)
    for finding in findings:
        if finding.rows:
            say("\n".join(finding.lines(limit=5)))
    failed = sum(finding.breach for finding in findings)
    warned = sum(bool(finding.rows) for finding in findings) - failed
    print(f"check: {len(findings) - failed - warned} ok, {warned} warn, {failed} FAIL")
    return not failed


def summary(done: Indexed) -> str:
    """Return a line that says how many jobs there are, which hours were derived and why."""
    from tokenergy_sql.report.format import counted

    jobs, hours = counted(done.jobs, "job"), counted(done.hours, "hour")
    if not done.causes:
        return f"{jobs}; nothing has changed in {hours}"
    counts = Counter(cause for causes in done.causes.values() for cause in causes or ["requested"])
    why = ", ".join(f"{cause} {count}" for cause, count in sorted(counts.items()))
    revision = f"revision {done.revision}" if done.revision else "the same as before"
    return f"{jobs}; {len(done.causes)} of {hours} derived ({why}); {revision}"


def print_checks(
    root: Path,
    limit: int,
    hours: list[int] | None = None,
    only: list[str] | None = None,
    prom: Path | None = None,
) -> bool:
    """Run the checks, or `only` those named, print them and return whether all passed.

    With `hours`, checks look at these and at what they touched. With `prom`, the results go to
    this file too, for Prometheus.

    Raises:
        UserError: the lake has no such hour, there is no such check, or `prom` cannot be written.
    """
    from tokenergy_sql.checks.checking import run_checks
    from tokenergy_sql.checks.promfile import write_prom
    from tokenergy_sql.checks.texts import checks_by_name
    from tokenergy_sql.terminal.table import say

    lake, passed = Lake(root), True
    require_hours(lake, hours, SEGMENTS)
    for name in {*(only or ())}.difference(checks_by_name()):
        known = ", ".join(checks_by_name())
        raise UserError(f"--only {name}: there is no such check; the checks are: {known}")
    if is_empty(lake):
        print(f"nothing to check: {next_step(lake)}")
        return True
    findings = []
    for finding in run_checks(lake, hours, only or None):
        say("\n".join(finding.lines(limit)))
        passed = passed and not finding.breach
        findings.append((finding.name, finding.fatal, len(finding.rows)))
    if prom is not None:
        write_prom(prom, findings, time.time())
    return passed


def write_report(
    root: Path,
    out: Path,
    last: str | None = None,
    start: str | None = None,
    end: str | None = None,
) -> Path:
    """Write the report page, of the whole lake or of some hours, and return its path.

    Raises:
        UserError: the lake is not indexed, or has nothing of the hours; an option has an unusable
            value (see `parse_window`); or the page cannot be written.
    """
    from tokenergy_sql.report import build_report

    lake = Lake(root)
    return build_report(lake, out, hours=parse_window(lake, last, start, end))


def print_score(root: Path, truth: Path) -> bool:
    """Compare a lake with the truth, print one row a job, return whether all bounds are met.

    Raises:
        UserError: there are no truth files, or one cannot be read.
    """
    from tokenergy_sql.demo.score import score
    from tokenergy_sql.terminal.scoretable import score_table
    from tokenergy_sql.terminal.table import console

    files = sorted(truth.glob("*.json"))
    if not files:
        raise UserError(f"{truth}: no truth files (*.json)")
    jobs = score(Lake(root), files)
    console().print(score_table(jobs))
    return all(job.passed for job in jobs)


def run_demo(folder: Path, profile: str, with_score: bool) -> bool:
    """Run the demo; return whether all checks passed, and the score too if it is wanted."""
    from tokenergy_sql.demo import building, demo
    from tokenergy_sql.terminal.jobtable import job_table
    from tokenergy_sql.terminal.table import console

    what = demo.describe(profile)
    demo.prepare(folder, profile)
    print(f"collect    {what}", flush=True)
    with progress_bar() as progress:
        demo.collect(folder, profile, progress)
    lake = folder / "lake"
    if profile == building.PROFILE:
        readings = building.add_building(Lake(lake), folder / "building.json")
        print(f"meters     {readings:,} readings of the building", flush=True)
    done = aggregate_hours(lake, None, None, "1s", "cpu")
    readings, segments = sum(d.readings for d in done), sum(d.segments for d in done)
    print(f"aggregate  {readings:,} readings to {segments:,} segments", flush=True)
    print(f"index      {index_hours(lake, None, None).jobs} jobs", flush=True)
    passed = print_checks(lake, 5)
    out = write_report(lake, folder / "report.html")
    print()
    hint = f"all of them: tokenergy run --lake {lake} --wide"
    console().print(replace(job_table(Lake(lake)), hint=hint))
    if with_score:
        print()
        passed = print_score(lake, folder / "truth") and passed
    print(f"\nreport: {out}")
    return passed
