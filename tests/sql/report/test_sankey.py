"""The Sankey diagram: every ribbon as high as its energy, nothing lost between the columns."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.lakes import T0, LakeBuilder, S
from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.report.energy import energy_values
from tokenergy_sql.report.facts import read_facts
from tokenergy_sql.report.palette import marks
from tokenergy_sql.report.sankey import GAP_PX, Flow, Node, sankey


def _ends(path: str) -> tuple[float, float]:
    """Return the upper left and the upper right y of a ribbon."""
    numbers = [float(number) for number in re.findall(r"-?[\d.]+", path)]
    return numbers[1], numbers[7]


energies = st.floats(1e-3, 1e9, allow_nan=False)


@given(
    st.lists(energies, min_size=1, max_size=6),
    st.lists(st.floats(0, 1), min_size=1, max_size=8),
    st.sampled_from([340, 1180]),
)
def test_boxes_hold_their_ribbons(into: list[float], shares: list[float], width: int) -> None:
    nodes = [Node(f"meter{place}", 0, "m", "", "red") for place in range(len(into))]
    nodes.append(Node("account", 1, "account", "", "red"))
    flows = [Flow(f"meter{place}", "account", j, "red") for place, j in enumerate(into)]
    for place, share in enumerate(shares):
        nodes.append(Node(f"job{place}", 2, "j" * 60, "1 kWh", "red"))
        flows.append(Flow("account", f"job{place}", share * sum(into) / len(shares), "red"))
    drawn = sankey(nodes, flows, width)
    account, jobs = drawn.boxes[len(into)], drawn.boxes[len(into) + 1 :]
    meters = drawn.boxes[: len(into)]
    assert sum(meter.height for meter in meters) == pytest.approx(account.height)
    ribbons = drawn.ribbons
    assert [ribbon.height for ribbon in ribbons[: len(into)]] == [
        pytest.approx(meter.height) for meter in meters
    ]
    # Ribbons stand on one another: those that come in at the account, and those that leave it.
    for side, of_side in ((1, ribbons[: len(into)]), (0, ribbons[len(into) :])):
        y = account.y
        for ribbon in of_side:
            assert _ends(ribbon.path)[side] == pytest.approx(y, abs=0.02)
            y += ribbon.height
    assert sum(job.height for job in jobs) <= account.height * (1 + 1e-9)
    tops = [job.y for job in jobs]
    assert tops == sorted(tops)
    for above, below in pairwise(jobs):
        assert below.y - above.y - above.height == pytest.approx(GAP_PX)
    assert max(box.y + box.height for box in drawn.boxes) <= drawn.height
    assert all(0 <= box.x < width for box in drawn.boxes)
    for ribbon in drawn.ribbons:
        places = [float(number) for number in re.findall(r"-?[\d.]+", ribbon.path)]
        assert all(0 <= place <= max(width, drawn.height) + 1 for place in places)


def test_the_lakes_flows_are_its_booked_energy(fleet: Lake) -> None:
    facts = read_facts(fleet)
    values = energy_values(facts, marks(facts.jobs))
    assert values is not None
    with catalog.connect(fleet) as con:
        [found] = con.sql("SELECT sum(energy_nj)::DOUBLE / 1e9 FROM ledger").fetchall()
    assert float(values["total"].raw) == pytest.approx(found[0])
    wide, slim = values["drawings"]
    assert {box.label for box in wide.boxes} >= {"energy counters", "power samples", "active"}
    assert "8 other jobs" in {box.label for box in slim.boxes}
    assert len(wide.boxes) == len(slim.boxes)
    assert sum(share for _, _, share, _ in values["bar"]) == pytest.approx(1)
    shares = [float(share.raw) for *_, share in values["jobs"]]
    assert len(shares) == 13
    assert sum(shares) == pytest.approx(
        100 * sum(r["energy_j"] or 0 for r in facts.accounts if r["job_id"]) / found[0]
    )
    assert "20.2" in values["gap"]


def test_nothing_metered_is_no_diagram(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.job("ghost", "d", T0, T0 + 60 * S)
    builder.tokens("ghost", [(T0, 0), (T0 + 60 * S, 100)])
    facts = read_facts(builder.build())
    assert energy_values(facts, marks(facts.jobs)) is None
