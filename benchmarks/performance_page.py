"""Writes the figures of benchmark runs into docs/performance.md, and draws its chart.

`python -m benchmarks.performance_page build/*.json [--page FILE] [--chart FILE]`. In: what the
benchmarks wrote with `--json`; each file says in `kind` which part of the page it fills. A part
is the text between `<!-- KIND: begin -->` and `<!-- KIND: end -->`; the script leaves parts without
a file as they are.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import machine

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "performance.md"
CHART = DOCS / "images" / "performance.svg"

Report = dict[str, Any]


def integration(report: Report) -> str:
    """Return the tables of `benchmarks.integration`."""
    gb_s = report["read_bytes_per_s"] / 1e9
    parts = [
        _ran_on(report),
        f"{report['readings']:,} readings of {report['devices']:,} devices at 10 Hz. "
        f"All cores together read memory at {gb_s:.1f} GB/s.",
    ]
    for table in report["tables"]:
        ours = table["rows"][0]
        share = table["bytes"] / ours["median_s"] / report["read_bytes_per_s"]
        lines = [
            f"{table['readings_per_window']:,} readings per window "
            f"({table['windows']:,} windows of {table['window_s']} s); ours reads and writes "
            f"{table['bytes'] / 1e9:.2f} GB at {100 * share:.0f} % of the read bandwidth:",
            "",
            "| | M readings/s | time, ours = 1 | fastest to slowest run, s | target |",
            "| --- | ---: | ---: | ---: | --- |",
            *(_integration_row(row) for row in table["rows"]),
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _integration_row(row: Report) -> str:
    target = row["target"]
    verdict = "" if target is None else f"≥ {target:g}: {_met(row['ratio'] >= target)}"
    cells = [
        row["name"],
        f"{row['readings_per_s'] / 1e6:.1f}",
        f"{row['ratio']:.2f}",
        f"{min(row['runs_s']):.3f} to {max(row['runs_s']):.3f}",
        verdict,
    ]
    return f"| {' | '.join(cells)} |"


def storage(report: Report) -> str:
    """Return the tables of `benchmarks.storage`."""
    parts = [_ran_on(report)]
    for recording in report["recordings"]:
        target = recording["target"]
        size = recording["files"][0]["bytes_a_row"]
        verdict = (
            "" if target is None else f"; target at most {target:g} bytes: {_met(size <= target)}"
        )
        lines = [
            f"{recording['name']} ({recording['rows']:,} rows{verdict}):",
            "",
            "| encoding | codec | order | bytes per reading | needed columns, M rows/s "
            "| all columns, M rows/s |",
            "| --- | --- | --- | ---: | ---: | ---: |",
            *(
                f"| {each['encoding']} | {each['codec']} | {each['order']} "
                f"| {each['bytes_a_row']:.2f} | {each['needed_rows_per_s'] / 1e6:.0f} "
                f"| {each['all_rows_per_s'] / 1e6:.0f} |"
                for each in recording["files"]
            ),
        ]
        parts.append("\n".join(lines))
    parts += [_derived(table) for table in report["derived"]]
    return "\n\n".join(parts)


def _derived(table: Report) -> str:
    """Return what the rows of one derived table cost."""
    lines = [
        f"Derived table `{table['name']}` ({table['rows']:,} rows):",
        "",
        "| encoding | codec | bytes per row | M rows written per CPU second "
        "| all columns, M rows/s |",
        "| --- | --- | ---: | ---: | ---: |",
        *(
            f"| {each['encoding']} | {each['codec']} | {each['bytes_a_row']:.2f} "
            f"| {each['encoded_rows_per_s'] / 1e6:.2f} | {each['decoded_rows_per_s'] / 1e6:.0f} |"
            for each in table["files"]
        ),
    ]
    return "\n".join(lines)


def end_to_end(report: Report) -> str:
    """Return the tables of `benchmarks.endtoend`."""
    from benchmarks.endtoend.__main__ import NAMES, growth_of, median_s, quickest_s

    parts = [_ran_on(report)]
    for size in report["sizes"]:
        count, quickest = size["readings"], quickest_s(size)
        lines = [
            f"{count:,} readings of one hour, {size['bytes'] / count:.2f} bytes each on disk:",
            "",
            "| | M readings/s | rate ÷ fastest read | rate ÷ read_table | peak MiB |",
            "| --- | ---: | ---: | ---: | ---: |",
        ]
        usual = median_s(size["sides"]["read_table"])
        for side, found in size["sides"].items():
            seconds = median_s(found)
            lines.append(
                f"| {NAMES[side]} | {count / seconds / 1e6:.1f} | {quickest / seconds:.2f} "
                f"| {usual / seconds:.2f} | {found['peak_mib']:.0f} |"
            )
        parts.append("\n".join(lines))
    parts += growth_of(report["sizes"])
    return "\n\n".join(parts)


def scale(report: Report) -> str:
    """Return the tables of `benchmarks.scale`."""
    from benchmarks.scale.__main__ import growth_of

    sizes = [
        "| hours | segments | jobs | s | CPU s an hour | peak MiB |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {size['hours']} | {size['segments']:,} | {size['jobs']:,} | {size['seconds']:.1f} "
            f"| {size['cpu_seconds'] / size['hours']:.2f} | {size['peak_mib']:.0f} |"
            for size in report["sizes"]
        ),
    ]
    answers = [
        "| question | SQL, s | polars, s |",
        "| --- | ---: | ---: |",
        *(
            f"| {row['title']} | {row['sql_s']:.2f} | {_seconds(row.get('polars_s'))} |"
            for row in report["answers"]["questions"]
        ),
    ]
    checks = report["checks"]
    return "\n\n".join(
        [
            _ran_on(report),
            "\n".join(sizes),
            *growth_of(report["sizes"]),
            f"On the largest lake, through `catalog.duckdb`. Median of the SQL times: "
            f"{statistics.median(row['sql_s'] for row in report['answers']['questions']):.2f} s.",
            "\n".join(answers),
            f"`tokenergy check`: {checks['seconds']:.1f} s, peak {checks['peak_mib']:.0f} MiB.",
            from_readings(report["from_readings"]),
        ]
    )


def from_readings(report: Report) -> str:
    """Return what `benchmarks.scale.fromreadings` measured."""
    from benchmarks.scale.fromreadings import sentences

    base_s = report["steps"]["aggregate"]["seconds"]
    rows = [
        "| step | s | CPU s | time, aggregate = 1 | peak MiB |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(
            f"| `{step}` | {found['seconds']:.2f} | {found['cpu_seconds']:.2f} "
            f"| {found['seconds'] / base_s:.2f} | {found['peak_mib']:.0f} |"
            for step, found in report["steps"].items()
        ),
    ]
    readings = f"{report['readings']:,} readings at 10 Hz"
    return "\n\n".join(
        [
            f"An hour of {report['devices']:,} devices, from {readings} to checked books:",
            "\n".join(rows),
            *(f"{line[0].upper()}{line[1:]}." for line in sentences(report)),
        ]
    )


PARTS: dict[str, Callable[[Report], str]] = {
    "integration": integration,
    "storage": storage,
    "end-to-end": end_to_end,
    "large": end_to_end,
    "scale": scale,
}
"""Which function writes which part of the page."""


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.2f}"


def _ran_on(report: Report) -> str:
    return f"Ran on {machine.line(report['machine'])}."


def _met(is_met: bool) -> str:
    return "met" if is_met else "**not met**"


def into_page(text: str, kind: str, part: str) -> str:
    """Return a page with one part replaced.

    Raises:
        ValueError: the page has no such part.
    """
    begin, end = f"<!-- {kind}: begin -->", f"<!-- {kind}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"the page has no part {kind!r}: expected {begin} and {end}, once each")
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    return f"{before}{begin}\n\n{part}\n\n{end}{after}"


def draw(report: Report, path: Path) -> None:
    """Draw the rates of all contestants, a panel for each window, as SVG."""
    import altair as alt

    rows = [
        {
            "window": f"{table['readings_per_window']:,} readings per window",
            "name": row["name"],
            "rate": round(row["readings_per_s"] / 1e6, 1),
        }
        for table in report["tables"]
        for row in table["rows"]
    ]
    order = [row["name"] for row in report["tables"][0]["rows"]]
    panels = list(dict.fromkeys(row["window"] for row in rows))
    place = alt.Y("name:N", sort=order, title=None)
    bars = (
        alt.Chart()
        .mark_bar(height=16)
        .encode(
            y=place,
            x=alt.X("rate:Q", title="M readings/s"),
            color=alt.condition(
                alt.datum.name == order[0], alt.value("#2a78b5"), alt.value("#b8bec6")
            ),
        )
    )
    labels = (
        alt.Chart()
        .mark_text(align="left", dx=3)
        .encode(y=place, x="rate:Q", text=alt.Text("rate:Q", format=",.0f"))
    )
    chart = (
        alt.layer(bars, labels, data=alt.InlineData(values=rows))
        .properties(width=210)
        .facet(column=alt.Column("window:N", sort=panels, title=None))
        .configure(background="white")
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    chart.save(str(path))


def main() -> int:
    """Rewrite the page and the chart; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "reports", type=Path, nargs="+", help="JSON files that benchmarks wrote with --json"
    )
    parser.add_argument("--page", type=Path, default=PAGE, help="page to write into")
    parser.add_argument("--chart", type=Path, default=CHART, help="SVG file to write")
    options = parser.parse_args()
    text = options.page.read_text("utf-8")
    for path in options.reports:
        report = json.loads(path.read_text("utf-8"))
        kind = report.get("kind") if isinstance(report, dict) else None
        if kind not in PARTS:
            print(f"{path}: kind {kind!r}: expected one of {', '.join(PARTS)}; file ignored")
            continue
        text = into_page(text, kind, PARTS[kind](report))
        if kind == "integration":
            draw(report, options.chart)
        print(f"{path}: {kind}")
    options.page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
