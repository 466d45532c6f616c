"""Counts the tokens of small histories: by the tool, and by the definition in plain Python."""

from __future__ import annotations

from tests.sql.oracles.token_usage import token_usage
from tests.support.lakes import T0, LakeBuilder, S
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_sql.index.tokens import Usage

Steps = list[int]
GROWTH = [0, 100, 200, 300, 400, 500, 600]


def every_ten(values: Steps) -> list[tuple[int, int]]:
    return [(T0 + 10 * S * n, value) for n, value in enumerate(values)]


def counted(builder: LakeBuilder) -> tuple[int, int, int, str | None]:
    """Tokens of the job, bounds and reasons; as the definition in plain Python says, too."""
    rows = Usage.of(builder.lake).rows.to_pylist()
    expected = token_usage(
        builder.lake.read("tokens").to_pylist(), allocations(builder.lake).to_pylist()
    )
    assert sorted(map(repr, rows)) == sorted(map(repr, expected))
    reasons = {code for row in rows for code in (row["reasons"] or "").split(",") if code}
    return (
        sum(row["tokens"] for row in rows),
        sum(row["low"] for row in rows),
        sum(row["high"] for row in rows),
        ",".join(sorted(reasons)) or None,
    )
