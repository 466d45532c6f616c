"""The page of figures: its parts are replaced, the rest stays, the chart is drawn."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
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


def test_a_run_at_scale_is_told_with_what_was_not_asked_of_both() -> None:
    sizes = [
        {"hours": h, "segments": h * 10, "jobs": 3, "seconds": s, "cpu_seconds": s, "peak_mib": 7}
        for h, s in ((1, 4.0), (2, 9.0))
    ]
    questions = [{"title": "both", "sql_s": 0.5, "polars_s": 1.0}, {"title": "one", "sql_s": 1.5}]
    report = {
        "machine": machine.machine(),
        "sizes": sizes,
        "answers": {"questions": questions},
        "checks": {"seconds": 12.0, "peak_mib": 800},
    }
    text = performance_page.scale(report)
    assert "2 hours take 2.25 x what 1 take" in text
    assert "median of the questions in SQL: 1.00 s" in text
    assert "| both | 0.50 | 1.00 |" in text
    assert "| one | 1.50 | - |" in text


def test_a_storage_run_is_told_with_its_derived_tables() -> None:
    each = {"encoding": "delta", "codec": "lz4", "bytes_a_row": 36.343}
    read = {"order": "sorted", "needed_rows_per_s": 2e8, "all_rows_per_s": 1e8}
    written = {"encoded_rows_per_s": 5.391e6, "decoded_rows_per_s": 2e7}
    report = {
        "machine": machine.machine(),
        "recordings": [{"name": "10 Hz", "rows": 10, "target": 36.3, "files": [each | read]}],
        "derived": [{"name": "segment", "rows": 57_600, "files": [each | written]}],
    }
    text = performance_page.storage(report)
    assert "10 Hz (10 rows; target at most 36.3 bytes: **not met**):" in text
    assert "| delta | lz4 | sorted | 36.34 | 200 | 100 |" in text
    assert "Derived table `segment` (57,600 rows):" in text
    assert "| delta | lz4 | 36.34 | 5.39 | 20 |" in text
