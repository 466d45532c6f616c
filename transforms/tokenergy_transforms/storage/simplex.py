"""Solves a `Program` with HiGHS: the second opinion where interior points end without a solution.

That is so where no plan keeps the limits, which HiGHS proves, and now and then where the rows leave
hardly any room. HiGHS knows nothing of the structure: it is taken for small programs alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tokenergy_transforms.storage.interior import NotSolvedError, Solved, solve
from tokenergy_transforms.storage.program import F64, Program

MOST_ROWS = 40_000
"""Larger programs are left to interior points: HiGHS would take minutes."""
LIMIT_S = 60.0


def least(program: Program, x: F64, z: float) -> Solved:
    """Return the least z by interior points or, where these fail on a small program, by HiGHS.

    Args:
        program: what to solve.
        x: float64[size], the start of the interior points; its ends are equal.
        z: the start of z.

    Raises:
        NotSolvedError: there is no solution, or it was not found.
    """
    try:
        return solve(program, x, z)
    except NotSolvedError:
        if program.count > MOST_ROWS:
            raise
        return by_highs(program)


def by_highs(program: Program) -> Solved:
    """Return the least z by HiGHS.

    Raises:
        NotSolvedError: there is no solution, or it took too long.
    """
    import highspy

    solver: Any = highspy.Highs()  # type: ignore[no-untyped-call]
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("time_limit", LIMIT_S)
    solver.passModel(_model(program))
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        raise NotSolvedError
    found = solver.getSolution()
    values, prices = np.array(found.col_value), -np.array(found.row_dual)
    x = np.append(values[:-1], values[0])
    return Solved(x, float(values[-1]), 0.0, int(solver.getInfo().simplex_iteration_count), prices)


def _model(program: Program) -> Any:
    """Return the program as HiGHS takes it: the ends of x are one column, z is the last."""
    import highspy
    from scipy import sparse

    ends, columns = program.size - 1, program.size
    row, column, value = [], [], []
    begin = 0
    for rows in program.blocks:
        own = np.arange(begin, begin + rows.count)
        for weight, offset in zip(rows.weights, rows.offsets, strict=True):
            place = np.arange(rows.count) + rows.first + offset
            row.append(own)
            column.append(np.where(place == ends, 0, place))
            value.append(weight)
        row.append(own)
        column.append(np.full(rows.count, columns - 1))
        value.append(rows.extra)
        begin += rows.count
    entries = (np.concatenate(value), (np.concatenate(row), np.concatenate(column)))
    matrix = sparse.csc_matrix(entries, shape=(program.count, columns))
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = columns, program.count
    model.col_cost_ = np.append(np.zeros(columns - 1), 1.0)
    model.col_lower_, model.col_upper_ = np.full(columns, -np.inf), np.full(columns, np.inf)
    model.row_lower_ = np.full(program.count, -np.inf)
    model.row_upper_ = np.concatenate([rows.bound for rows in program.blocks])
    model.a_matrix_.start_, model.a_matrix_.index_ = matrix.indptr, matrix.indices
    model.a_matrix_.value_ = matrix.data
    return model
