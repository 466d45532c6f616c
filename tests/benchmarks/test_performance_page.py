"""The page of figures: its parts are replaced, the rest stays, the chart is drawn.

The page in docs/ is in the generator's words: a run changes its figures and nothing else.
"""

from __future__ import annotations

import json
import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from benchmarks.endtoend import __main__ as endtoend
from benchmarks.performance_page import PAGE, PARTS, into_page

from benchmarks import machine, performance_page


def _integration(ratio: float) -> dict[str, Any]:
    def row(name: str, seconds: float, target: float | None) -> dict[str, Any]:
        return {
            "name": name,
            "runs_s": [seconds, seconds],
            "readings_per_s": 1e6 / seconds,
            "median_s": seconds,
            "ratio": seconds,
            "target": target,
        }

    return {
        "kind": "integration",
        "machine": machine.machine(),
        "readings": 10**6,
        "devices": 10,
        "read_bytes_per_s": 2e9,
        "tables": [
            {
                "readings_per_window": 10,
                "window_s": 1,
                "windows": 10**5,
                "bytes": 10**9,
                "rows": [row("ours", 1.0, None), row("theirs", ratio, 15.0)],
            }
        ],
    }


def test_parts_of_the_page_are_there_once() -> None:
    text = PAGE.read_text("utf-8")
    for kind in PARTS:
        assert into_page(text, kind, "PART").count("PART") == text.count("PART") + 1
    with pytest.raises(ValueError, match="no part 'weather'"):
        into_page(text, "weather", "PART")


def test_a_run_fills_its_part_and_draws_the_chart(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page, chart = tmp_path / "page.md", tmp_path / "images" / "chart.svg"
    page.write_text("above\n<!-- integration: begin -->old<!-- integration: end -->\nbelow\n")
    reports = [tmp_path / "a.json", tmp_path / "b.json"]
    reports[0].write_text(json.dumps(_integration(14.99)))
    reports[1].write_text('{"kind": "weather"}')
    words = [*map(str, reports), "--page", str(page), "--chart", str(chart)]
    monkeypatch.setattr(sys, "argv", ["performance_page", *words])
    assert performance_page.main() == 0
    text = page.read_text()
    assert text.startswith("above\n")
    assert text.endswith("\nbelow\n")
    assert "old" not in text
    assert "| theirs | 0.1 | 14.99 | 14.990 to 14.990 | ≥ 15: **not met** |" in text
    assert "at 50 % of the read bandwidth" in text
    assert "theirs" in chart.read_text()
    assert "'weather'" in capsys.readouterr().out
    reports[0].write_text(json.dumps(_integration(15.0)))
    assert performance_page.main() == 0
    assert "≥ 15: met" in page.read_text()


def test_read_bandwidth_is_that_of_a_memory() -> None:
    assert 1e8 < machine.read_bandwidth(gib=0.05, runs=1) < 1e13


def _scale() -> dict[str, Any]:
    sizes = [
        {"hours": h, "segments": h * 10, "jobs": 3, "seconds": s, "cpu_seconds": s, "peak_mib": 7}
        for h, s in ((1, 4.0), (2, 9.0))
    ]
    questions = [{"title": "both", "sql_s": 0.5, "polars_s": 1.0}, {"title": "one", "sql_s": 1.5}]
    return {
        "machine": machine.machine(),
        "sizes": sizes,
        "answers": {"questions": questions},
        "checks": {"seconds": 12.0, "peak_mib": 800},
        "from_readings": {
            "devices": 500,
            "readings": 18_000_000,
            "steps": {
                step: {"seconds": seconds, "cpu_seconds": seconds, "peak_mib": 9}
                for step, seconds in (("aggregate", 2.0), ("index", 3.0), ("check", 1.5))
            },
        },
    }


def test_a_run_at_scale_shows_what_was_not_asked_of_both() -> None:
    text = performance_page.scale(_scale())
    assert "2 hours take 2.25 × as long as 1" in text
    assert "Median of the SQL times: 1.00 s" in text
    assert "| both | 0.50 | 1.00 |" in text
    assert "| one | 1.50 | - |" in text
    assert "| `check` | 1.50 | 1.50 | 0.75 | 9 |" in text
    assert "Index and check together: 2.25 × aggregate." in text
    assert "6.50 s × 100,000 ÷ 500 = 1,300 s, 0.36 of real time" in text


def _storage(name: str, target: float) -> dict[str, Any]:
    each = {"encoding": "delta", "codec": "lz4", "bytes_a_row": 36.343}
    read = {"order": "sorted", "needed_rows_per_s": 2e8, "all_rows_per_s": 1e8}
    written = {"encoded_rows_per_s": 5.391e6, "decoded_rows_per_s": 2e7}
    return {
        "machine": machine.machine(),
        "recordings": [{"name": name, "rows": 10, "target": target, "files": [each | read]}],
        "derived": [{"name": "segment", "rows": 57_600, "files": [each | written]}],
    }


def test_a_storage_run_shows_its_derived_tables() -> None:
    text = performance_page.storage(_storage("10 Hz", 36.3))
    assert "10 Hz (10 rows; target at most 36.3 bytes: **not met**):" in text
    assert "| delta | lz4 | sorted | 36.34 | 200 | 100 |" in text
    assert "Derived table `segment` (57,600 rows):" in text
    assert "| delta | lz4 | 36.34 | 5.39 | 20 |" in text


def _end_to_end() -> dict[str, Any]:
    sides = {side: {"times_s": [1.0], "peak_mib": 400} for side in endtoend.NAMES}
    sizes = [{"readings": n, "bytes": 3 * n, "sides": sides} for n in (10**6, 10**7)]
    return {"machine": machine.machine(), "sizes": sizes}


REPORTS = {
    "integration": _integration(15.0),
    "storage": _storage("10 Hz, as collected", 40.0),
    "end-to-end": _end_to_end(),
    "large": _end_to_end(),
    "scale": _scale(),
}


@pytest.mark.parametrize("kind", PARTS)
def test_the_page_is_in_the_words_of_the_generator(kind: str) -> None:
    part = PAGE.read_text("utf-8").split(f"<!-- {kind}: begin -->")[1]
    page = _without_numbers(part.split(f"<!-- {kind}: end -->")[0])
    lines = _without_numbers(PARTS[kind](REPORTS[kind]))
    heads = {line for line, rule in pairwise(lines) if rule.startswith("| ---")}
    sentences = {line for line in lines if line and not line.startswith(("|", "Ran on"))}
    assert heads
    assert heads | sentences <= set(page)


def test_the_page_names_the_sides_of_the_end_to_end_run() -> None:
    text = PAGE.read_text("utf-8")
    assert all(text.count(f"| {name} |") > 1 for name in endtoend.NAMES.values())


def _without_numbers(text: str) -> list[str]:
    return re.sub(r"\d[\d,.]*\d|\d", "#", text).splitlines()
