"""A small lake with everything a page must cope with, a fleet of 20 jobs, and their pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.report_fleet import build_fleet
from tests.support.report_names import HOSTILE, LONG
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.site import Site
from tokenergy_sql.report import build_report

MINUTE = 60 * S


def fill(builder: LakeBuilder) -> None:
    """Serve, train, reserve, stray, gap, and a job that nothing metered."""
    for place, power_mw in enumerate((400_000, 650_000, 120_000, 300_000, 70_000)):
        device = f"GPU-{place}"
        builder.device(device, index=place)
        builder.power(device, level(power_mw, T0, T0 + MINUTE, S))
        gauges = {"sm_util": 90 if power_mw > 200_000 else 0, "pids": [7] if place == 3 else []}
        stamps = range(T0, T0 + MINUTE, S)
        builder.add("state", [{"ts_us": t + 1, "device_id": device, **gauges} for t in stamps])
    builder.device("GPU-gap", index=5)
    builder.power("GPU-gap", level(90_000, T0, T0 + 20 * S, S))
    builder.power("GPU-gap", level(90_000, T0 + 40 * S, T0 + MINUTE, S))
    end = T0 + MINUTE
    builder.job("serve", "GPU-0", T0, end, name=LONG, user="alice", account="nlp")
    builder.job("train", "GPU-1", T0, None, name=HOSTILE, user="bob")
    builder.job("hold", "GPU-2", T0, end, name="reservation", user="=2+2", account='a "b", c')
    builder.job("ghost", "GPU-unseen", T0, end, name="ghost")
    beats = range(0, 61, 5)
    builder.tokens("serve", [(T0 + s * S, 1000 * s) for s in beats], source_id="a", since_us=T0)
    builder.tokens("train", [(T0 + s * S, 77 * s) for s in beats], source_id="b", kind="trained")
    builder.add(
        "event",
        [
            {"ts_us": T0, "node": "n1", "kind": "start"},
            {"ts_us": T0 + 20 * S, "node": "n1", "kind": "lost", "detail": f"gone {HOSTILE}"},
        ],
    )


@pytest.fixture(scope="package")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    builder = LakeBuilder(tmp_path_factory.mktemp("report") / "lake")
    fill(builder)
    return builder.build(Site(pue_ppm=1_250_000, host_mw=900_000, node_host_mw={}))


@pytest.fixture(scope="package")
def page_path(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_report(lake, tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="package")
def page(page_path: Path) -> str:
    return page_path.read_text("utf-8")


@pytest.fixture(scope="package")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return build_fleet(tmp_path_factory.mktemp("fleet") / "lake")


@pytest.fixture(scope="package")
def fleet_page(fleet: Lake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_report(fleet, tmp_path_factory.mktemp("fleet-page") / "report.html")
