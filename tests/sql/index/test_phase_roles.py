"""Prefill and decode where servers do only one of the two: measured, by node."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.ledger import ask, assert_checks_pass
from tokenergy_collectors.lake import Lake

SECONDS = 600
P, D = {"prompt_computed": 4_000, "generated": 4}, {"prompt_external": 4_000, "generated": 800}
BOTH = {"prompt_computed": 400, "generated": 800}
WATTS = {"p": 600, "d": 400, "x": 500}


def add(
    builder: LakeBuilder,
    job: str,
    board: str,
    rates: dict[str, int],
    role: str | None = None,
    *,
    node: str = "",
    seconds: int = SECONDS,
) -> None:
    """Add a server with tokens a second, alone on a board of its own."""
    device, node = f"{job}-{board}", node or f"{job}-{board}"
    builder.device(device, node=node)
    watts = WATTS[board]
    builder.power(device, level(watts * 1_000, T0, T0 + SECONDS * S), node=node)
    builder.job(job, device, T0, T0 + SECONDS * S, node=node)
    for kind, rate in rates.items():
        values = [(T0 + k * S, rate * k) for k in range(0, seconds + 1, 5)]
        builder.tokens(job, values, kind=kind, source_id=device, node=node, role=role)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    builder = LakeBuilder(tmp_path_factory.mktemp("roles") / "lake")
    add(builder, "pair", "p", P)
    add(builder, "pair", "d", D)
    add(builder, "prefills", "p", P, "prefill")
    add(builder, "decodes", "d", D)
    add(builder, "declared pair", "p", P, "prefill")
    add(builder, "declared pair", "d", BOTH, "decode")
    add(builder, "with another", "p", P)
    add(builder, "with another", "d", D)
    add(builder, "with another", "x", BOTH)
    add(builder, "on one node", "p", P, "prefill", node="one")
    add(builder, "on one node", "d", D, "decode", node="one")
    add(builder, "usual", "x", BOTH)
    add(builder, "lost", "p", P, "prefill", seconds=300)
    # A board on a node without a server: whose it is, nothing says; of one role it is that role's.
    for job in ("pair beside", "decodes beside"):
        add(builder, job, "d", D)
        add(builder, job, "x", {})
    add(builder, "pair beside", "p", P)
    return builder.build()


@pytest.fixture(scope="module")
def rows(lake: Lake) -> dict[str, dict[str, Any]]:
    return {row["job_id"]: row for row in ask(lake, "FROM job_index")}


@pytest.mark.parametrize(
    ("job", "prefill_j", "decode_j"),
    [
        ("pair", 600 / 4_000, 400 / 800),
        ("prefills", 600 / 4_000, None),
        ("decodes", None, 400 / 800),
        ("declared pair", 600 / 4_400, 400 / 800),
        ("decodes beside", None, 900 / 800),
    ],
)
def test_the_energy_of_a_role_is_that_of_its_boards(
    rows: dict[str, dict[str, Any]],
    lake: Lake,
    job: str,
    prefill_j: float | None,
    decode_j: float | None,
) -> None:
    row = rows[job]
    for phase, right in (("prefill", prefill_j), ("decode", decode_j)):
        figures = [row[f"te_gpu_{phase}{bound}"] for bound in ("_low", "", "_high")]
        if right is None:
            assert figures == [None] * 3
        else:
            assert figures[1] == pytest.approx(right, rel=1e-6)
            assert figures[0] < right < figures[2]
    assert row["phase_method"] == "roles"
    assert row["phase_reasons"] == ("one_role" if None in (prefill_j, decode_j) else "")
    assert row["phase_base_w"] is row["phase_windows"] is None
    assert row["phase_coverage"] == 1.0
    assert_checks_pass(lake)


@pytest.mark.parametrize("job", ["with another", "on one node", "usual", "lost", "pair beside"])
def test_no_role_where_boards_cannot_be_told_apart(
    rows: dict[str, dict[str, Any]], job: str
) -> None:
    assert (rows[job]["phase_method"], rows[job]["te_gpu_decode"]) == ("none", None)
    assert rows[job]["phase_reasons"].startswith("few_windows")
