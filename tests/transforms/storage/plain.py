"""The battery problem as plain HiGHS sees it: one variable for each unknown, no structure.

With losses a whole number says of each cell whether it charges: a mixed-integer program, for a few
cells. It shares no code with the product.
"""

from __future__ import annotations

import highspy
import numpy as np


def least(
    load: np.ndarray,
    step: float,
    ramp: float | None,
    cap: float,
    floor: float,
    energy: float | None = None,
    way: float = 1.0,
) -> float:
    """Return the least energy, or with an energy the least power, that keeps the limits."""
    model = highspy.Highs()
    model.setOptionValue("output_flag", False)
    model.setOptionValue("mip_rel_gap", 1e-7)
    inf, cells = highspy.kHighsInf, len(load)
    size = model.addVariable(0, inf, 1.0)
    s = [model.addVariable(0, inf if energy is None else energy) for _ in load]
    c = [model.addVariable(0, inf) for _ in load]
    d = [model.addVariable(0, inf) for _ in load]
    most = float(np.abs(load).max()) * 2 + 1
    for k in range(cells):
        after = s[(k + 1) % cells] if cells > 1 else s[0]
        model.addConstr(after == s[k] + way * step * c[k] - step / way * d[k])
        model.addConstr(c[k] - d[k] <= float(cap - load[k]))
        model.addConstr(c[k] - d[k] >= float(floor - load[k]))
        if energy is None:
            model.addConstr(s[k] <= size)
        else:
            model.addConstr(c[k] - d[k] <= size)
            model.addConstr(d[k] - c[k] <= size)
        if ramp is not None and k:
            rise = float(load[k] - load[k - 1])
            change = c[k] - d[k] - c[k - 1] + d[k - 1]
            model.addConstr(change <= ramp * step - rise)
            model.addConstr(change >= -ramp * step - rise)
        if way < 1:
            charges = model.addBinary()
            model.addConstr(c[k] <= most * charges)
            model.addConstr(d[k] <= most - most * charges)
    model.run()
    assert model.getModelStatus() == highspy.HighsModelStatus.kOptimal, model.getModelStatus()
    return float(model.getObjectiveValue())
