"""A real browser draws the page: every chart, without an error and without a request."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--v=0",
    "--virtual-time-budget=3000",
    "--window-size=1280,2400",
]


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_charts_are_drawn_and_the_console_is_quiet(page_path: Path, tmp_path: Path) -> None:
    assert CHROMIUM is not None
    run = subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path}", "--dump-dom", page_path.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert not [line for line in run.stderr.splitlines() if "CONSOLE" in line]
    body = run.stdout
    assert len(re.findall(r'<div class="chart [^"]*drawn"', body)) == 4
    assert body.count('<svg xmlns="http://www.w3.org/2000/svg"') == 4
    assert "could not be drawn" not in body.split("<script")[0]
