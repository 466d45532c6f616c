"""The tables that the command prints, as docs/sizing.md has them.

In: the figures of one run. Out: Markdown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import machine
from benchmarks.sizing.needs import Needs, Units, needs_of, units_of
from tokenergy_collectors.lake.contract import TABLES

FLEETS = (1_000, 10_000, 100_000)

STEPS = {
    "aggregate": "`aggregate`: 10 Hz to segments of 1 s",
    "index": "`index`: booking, the second hour",
    "check": "`check --hour`",
    "load_profile": "`load-profile`",
    "compact": "`compact`, once a day",
}


def markdown(report: Mapping[str, Any]) -> str:
    """Return all tables of a run, with the machine that it ran on."""
    units = units_of(report)
    fleets = [needs_of(units, gpus) for gpus in FLEETS]
    group, limited, others = report["group"], report["limited"], report["others"]
    parts = [
        f"Ran on {machine.line(report['machine'])}.",
        f"What a GPU-hour costs, measured on {report['devices']:,} emulated GPUs at 10 Hz:",
        "\n".join(_costs(report, units)),
        f"An hour of {group['gpus']:,} GPUs, booked at once: {group['cpu_seconds']:.1f} CPU s, "
        f"{1e3 * group['cpu_seconds'] / group['gpus']:.1f} ms a GPU-hour, "
        f"{group['peak_mib']:,.0f} MiB. `check` with `TOKENERGY_SQL_MEMORY={limited['memory']}`: "
        f"{limited['large']['cpu_s']:.1f} CPU s, {limited['peak_mib']:,.0f} MiB.",
        "Bytes and files of that hour, by table:",
        "\n".join(_bytes(report, units)),
        f"All else in this lake (lists, revisions, caches, the catalog) is "
        f"{others['bytes'] / 1e6:.1f} MB in {others['files']} files.",
        f"What fleets need: the figures above, multiplied. Lakes much larger than "
        f"{report['devices']:,} GPUs need more: see below.",
        "\n".join(_needs(fleets, report)),
    ]
    return "\n\n".join(parts)


def _costs(report: Mapping[str, Any], units: Units) -> list[str]:
    ours, gpu_hours = report["collector"], report["devices"] * report["hours"]
    small = report["small_devices"]
    of_node = ours["cpu_s"] / ours["seconds"]
    cpu_s = of_node * 3600 / ours["boards"]
    lines = [
        f"| | CPU s a GPU-hour | how | {small} GPUs alone, CPU s an hour | peak MiB |",
        "| --- | ---: | --- | ---: | ---: |",
        f"| collector, on its node | {cpu_s:.2f} | {ours['cpu_s']:.2f} s in {ours['seconds']:.0f} s"
        f" × 3,600 ÷ {ours['boards']}: {100 * of_node:.2f} % of a core | | "
        f"{ours['peak_mib']:.0f} |",
    ]
    for name, step in report["steps"].items():
        lines.append(
            f"| {STEPS[name]} | {units.cpu_s[name]:.4f} "
            f"| {step['large']['cpu_s']:.2f} s ÷ {gpu_hours:,.0f} "
            f"| {step['small']['cpu_s']:.2f} | {step['peak_mib']:,.0f} |"
        )
    total = sum(units.cpu_s.values())
    return [*lines, f"| pipeline, without the collector | {total:.4f} | the sum | | |"]


def _bytes(report: Mapping[str, Any], units: Units) -> list[str]:
    nodes = report["nodes"]
    lines = [
        "| table | KB a GPU-hour | after `compact` | files a node-hour | after `compact` |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for layer in ("raw", "derived"):
        for name, of in report["stored"].items():
            if TABLES[name].layer != layer:
                continue
            kept = report["compacted"][name]
            before = of["bytes"] / (report["devices"] * report["hours"])
            files = [
                f"{one['files'] / nodes:.3g}" if of["nodes"] else f"{one['files']} for all nodes"
                for one in (of, kept)
            ]
            lines.append(
                f"| `{name}` | {before / 1e3:.2f} | {units.kept_bytes[name] / 1e3:.2f} "
                f"| {files[0]} | {files[1]} |"
            )
        rows = [name for name in report["stored"] if TABLES[name].layer == layer]
        lines.append(_sum(report, rows, layer))
    return lines


def _sum(report: Mapping[str, Any], names: Sequence[str], layer: str) -> str:
    gpu_hours = report["devices"] * report["hours"]
    cells = []
    for key, whole, digits in (("bytes", 1e3 * gpu_hours, 1), ("files", report["nodes"], 1)):
        for state in ("stored", "compacted"):
            rows = [report[state][name] for name in names]
            total = sum(of[key] for of in rows if key == "bytes" or of["nodes"])
            cells.append(f"**{total / whole:.{digits}f}**")
    return f"| **{layer}** | {' | '.join(cells)} |"


def _needs(fleets: Sequence[Needs], report: Mapping[str, Any]) -> list[str]:
    def row(what: str, cells: Sequence[str]) -> str:
        return f"| {what} | {' | '.join(cells)} |"

    unbounded = ["-" if report["bounded"] else number(n.check_gib) for n in fleets]
    lines = [
        row("GPUs", [f"{needs.gpus:,}" for needs in fleets]),
        row("---", ["---:"] * len(fleets)),
    ]
    lines += [
        row(f"cores busy all the time: `{name}`", [number(n.cores[name]) for n in fleets])
        for name in report["steps"]
    ]
    lines += [
        row("cores in all", [f"**{number(sum(n.cores.values()))}**" for n in fleets]),
        row("memory of each `aggregate`, GiB", [_gib(report["steps"]["aggregate"])] * len(fleets)),
        row("memory of `index` and each `book`, GiB", [_gib(report["group"])] * len(fleets)),
        row("CPU s an hour of the task `check`", [number(n.check_s) for n in fleets]),
        row("its memory if nothing bounds it, GiB", unbounded),
        row("raw, GB a day", [number(n.raw_gb) for n in fleets]),
        row("raw after `compact`, GB a day", [number(n.compacted_gb) for n in fleets]),
        row("derived, GB a day", [number(n.derived_gb) for n in fleets]),
        row("GB after a year, nothing expires", [number(n.year_gb) for n in fleets]),
        row("GB after a year, with the retention below", [number(n.expiring_gb) for n in fleets]),
        row("of which never expires, GB a year", [number(n.forever_gb) for n in fleets]),
        row("files a day", [number(n.files) for n in fleets]),
        row("files a day after `compact`", [number(n.compacted_files) for n in fleets]),
    ]
    return lines


def _gib(measured: Mapping[str, Any]) -> str:
    return number(measured["peak_mib"] / 1024)


def number(value: float) -> str:
    """Return a number with two or three digits that count, and commas."""
    if value >= 1_000:
        step = 10 ** (len(str(int(value))) - 3)
        return f"{round(value / step) * step:,}"
    if value >= 9.95:
        return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}"
    return f"{value:#.2g}"
