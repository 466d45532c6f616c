"""Cooling by air and by liquid: what meters say of it, a small model of it, and fits of that model.

`coefficients.py` has every number of the model with its source, `laws.py` its formulas, `plant.py`
a hall of them; all are functions of arrays. `heat.py` and `halls.py` are about what is metered.
"""
