"""A small lake with everything a page must cope with, a fleet of 20 jobs, and their pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sql.report import sitelake
from tests.support import building
from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.once import once
from tests.support.report_fleet import build_fleet
from tests.support.report_names import HOSTILE, LONG
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.site import Site
from tokenergy_sql.report import build_report, last_hours

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


def _make_small(folder: Path) -> None:
    builder = LakeBuilder(folder / "lake")
    fill(builder)
    lake = builder.build(Site(pue_ppm=1_250_000, host_mw=900_000, node_host_mw={}))
    build_report(lake, folder / "report.html")


def _make_fleet(folder: Path) -> None:
    lake = build_fleet(folder / "lake")
    build_report(lake, folder / "report.html")
    build_report(lake, folder / "window.html", hours=last_hours(lake, 2))


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return once(tmp_path_factory, "report-small", _make_small)


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return once(tmp_path_factory, "report-fleet", _make_fleet)


@pytest.fixture(scope="session")
def lake(small: Path) -> Lake:
    return Lake(small / "lake")


@pytest.fixture(scope="session")
def page_path(small: Path) -> Path:
    return small / "report.html"


@pytest.fixture(scope="session")
def page(page_path: Path) -> str:
    return page_path.read_text("utf-8")


@pytest.fixture(scope="session")
def fleet(large: Path) -> Lake:
    return Lake(large / "lake")


@pytest.fixture(scope="session")
def fleet_page(large: Path) -> Path:
    return large / "report.html"


@pytest.fixture(scope="session")
def window_page(large: Path) -> Path:
    """The last two hours of the fleet."""
    return large / "window.html"


def _planted(folder: Path) -> None:
    building.build(folder / "lake")
    build_report(Lake(folder / "lake"), folder / "report.html", findings=[])


def _halls(folder: Path) -> None:
    build_report(sitelake.build(folder / "lake"), folder / "report.html", findings=[])


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hours of a site with a UPS, cooling and water; one chiller is dark for a while."""
    return once(tmp_path_factory, "report-planted", _planted)


@pytest.fixture(scope="session")
def halls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours of two halls with a PUE each."""
    return once(tmp_path_factory, "report-halls", _halls)
