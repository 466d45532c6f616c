"""The alert rules: real promtool tests them, and they ask only for what is really served."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tokenergy_collectors.live.catalogue import FAMILIES

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
OF_CHECKS = {
    "tokenergy_check_offending_rows": {"check", "fatal"},
    "tokenergy_check_timestamp_seconds": set(),
}
"""What `tokenergy check --prom` writes; tests/sql/checks/test_promfile.py holds it to these."""
OF_PROMETHEUS = {"instance", "job"}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize(
    "words", [("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")]
)
def test_promtool_agrees(words: tuple[str, ...]) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("no promtool here: apt-get install prometheus")
    done = subprocess.run(
        ["promtool", *words], cwd=FOLDER, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_seen_to_fire_and_to_keep_silent() -> None:
    """By the tests of promtool; those of the disk's files and others fire beside silent ones."""
    tests = yaml.safe_load((FOLDER / "alerts_test.yml").read_text("utf-8"))["tests"]
    fired = {
        one["alertname"] for test in tests for one in test["alert_rule_test"] if one["exp_alerts"]
    }
    assert fired == {rule["alert"] for rule in rules()}


def test_every_metric_and_label_exists() -> None:
    labels = {family.name: set(family.labels) for family in FAMILIES} | OF_CHECKS | {"up": set()}
    for rule in rules():
        named = re.findall(r"\b(tokenergy_\w+|up)\b(?:\{([^}]*)\})?", rule["expr"])
        assert named, rule["alert"]
        for metric, matchers in named:
            used = set(re.findall(r"(\w+)\s*(?:=|!)", matchers))
            assert used <= labels[metric] | OF_PROMETHEUS, (rule["alert"], metric)
        known = set().union(*(labels[metric] for metric, _ in named)) | OF_PROMETHEUS
        for grouped in re.findall(r"\bby \(([^)]*)\)", rule["expr"]):
            assert {one.strip() for one in grouped.split(",")} <= known, rule["alert"]
        shown = " ".join(rule["annotations"].values())
        assert set(re.findall(r"\$labels\.(\w+)", shown)) <= known, rule["alert"]


def test_the_page_lists_every_alert() -> None:
    page = (FOLDER.parents[1] / "docs" / "metrics.md").read_text("utf-8")
    assert re.findall(r"`(TokEnergy\w+)`", page) == [rule["alert"] for rule in rules()]
