"""Tables of the building, its cooling, its modules, carbon and cost at four widths.

Rows are written by hand, with what is awkward: long names, many digits, unknown and negative
values. See `test_screens.py` for how to write the files again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sql.terminal.shown import FRENCH, LONG, T0, WIDE, Parts, Row, on_file, screens
from tokenergy_sql.index.site import load_places
from tokenergy_sql.terminal.carbonrows import Wanted as CarbonWanted
from tokenergy_sql.terminal.carbontable import carbon_parts
from tokenergy_sql.terminal.coolingtable import cooling_table, fit_table, whatif_table
from tokenergy_sql.terminal.moduleplan import Plan
from tokenergy_sql.terminal.moduletable import modules_table, plan_table
from tokenergy_sql.terminal.placestable import place_parts
from tokenergy_sql.terminal.sitetable import site_table

MONTH = 31 * 86_400_000_000
SITE_TOML = Path(__file__).with_name("places.toml")
MISSING = "no_meter:cooling,gap_in_meter:facility"

_TOKENS = {
    **{"inference_n_joint": 1_234_567_890_123, "inference_tokenergy": 0.4321},
    **{"inference_te_gpu": 0.3123, "training_n_joint": 98_765_432_109},
    **{"training_tokenergy": 0.01234, "training_te_gpu": 9.1e-3},
}
_SITE = Row(
    **{"period": "2026-01", "place": "site", "from_us": T0, "to_us": T0 + MONTH, "pue": 1.2345},
    **{"pue_low": 1.21, "pue_high": 1.26, "pue_category": 2, **_TOKENS, "intake": 1.289},
    **{"cooling": 0.1876, "wue_l_per_kwh": 1.234, "erf": 0.12, "ref": 0.56, "interim": True},
    **{"facility_kwh": 12_345_678.9, "it_kwh": 9_987_654.3, "pue_coverage_of_period": 0.98765},
    **{"pue_modelled": 1.25, "pue_modelled_low": 1.2, "pue_modelled_high": 1.3},
    **{"pue_modelled_error": -0.0123, "losses": 0.045, "losses_modelled": 0.051},
    **{"cue_kg_per_kwh": 0.3456, "cfe": 0.71},
)
_HALL = Row(
    **{"period": "2026-01", "place": "hall:b-north-annex", "from_us": T0, "to_us": T0 + MONTH},
    **{"interim": True, "missing": MISSING, "it_coverage_of_period": 0.5},
)


def _cooling() -> Parts:
    measured = Row(
        **{**_SITE, "place": "hall:b", "cooled": "liquid", "class": "W32", "emulated": True},
        **{"cooling_low": 0.17, "cooling_high": 0.2, "cooling_shared": 0.01},
        **{"liquid_share": 0.812, "liquid_share_low": 0.78, "liquid_share_high": 0.85},
        **{"air_share": 0.188, "heat_liquid_kwh": 8_109_975.3, "outdoor_c": -12.3},
        **{"heat_coverage_of_period": 0.9987, "method": "measured"},
    )
    other = Row(**{**_HALL, "cooled": "air", "method": "none"})
    return [cooling_table([measured, other], "all")]


def _whatif() -> Parts:
    base = {**_TOKENS, "place": "hall:b-north-annex", "hours": 8_760, "emulated": False}
    rows = [
        Row(**base, **{"method": "measured", "class": "W32", "cooling": 0.1876, "pue": 1.2345}),
        Row(
            **base,
            **{"method": "modelled, as it is", "class": "W32", "rejection": "tower"},
            **{"free_hours": 7_123, "cooling": 0.1512, "pue": 1.2011, "facility_change": 0.0},
            **{"it_change": 0.0, "liquid_share": 0.812, "cooling_kwh": 1_234_567.8},
        ),
        Row(
            **base,
            **{"method": "modelled", "class": "air", "rejection": "dry", "free_hours": 0},
            **{"cooling": 0.4512, "facility_change": 0.2345, "it_change": -0.0213},
            **{"chiller_kwh": 3_456_789.1, "it_kwh": 9_987_654.3},
        ),
    ]
    return [whatif_table(rows, "Saint-Étienne-de-Montluc 2005-2019")]


def _fit() -> Parts:
    rows = [
        Row(
            **{"place": "hall:b-north-annex", "machine": "chiller", "value": 0.4321},
            **{"coefficient": "chiller_efficiency", "standard_error": 0.0123, "unit": "-"},
            **{"now": 0.5, "hours": 8_760, "residual_percent": 3.21},
        ),
        Row(
            **{"place": "hall:a", "machine": "pump", "hours": 12},
            refused="fewer than 100 hours in which the pump ran alone",
        ),
    ]
    return [fit_table(rows)]


def _modules(grouped: str) -> Parts:
    rows = [
        Row(
            **{"name": "b4-r12", "hall": "b-north-annex", "from_us": T0, "to_us": T0 + MONTH},
            **{"places": 12, "p50_kw": 1_023.4, "p99_kw": 1_099.9, "peak_kw": 1_123.4},
            **{"rated_kw": 1_100, "stranded_kw": -23.4, "load_factor": 0.91, "coincidence": 0.98},
            **{"energy_kwh": 761_234.5, "facility_kwh": 939_750.1, **_TOKENS},
            **{"method": "metered", "coverage": 0.99987},
        ),
        Row(
            **{"name": "container-2026-north-annex-04", "from_us": T0, "to_us": T0 + MONTH},
            **{"method": "boards and modelled hosts", "coverage": 0.123, "missing": MISSING},
        ),
    ]
    return [modules_table(rows, grouped)]


def _plan() -> Parts:
    rows = []
    for case in ("coincident", "independent"):
        for of in ("added", "site with them"):
            draw = {"it_p50_kw": 12_345.6, "it_p99_kw": 13_579.1, "it_peak_kw": 14_321.9}
            site = {name.replace("it_", "site_"): 1.2345 * kw for name, kw in draw.items()}
            left = {"rated_kw": 15_000, "left_p99_kw": -1_763.4, "left_peak_kw": -2_680.4}
            rows.append(
                Row(
                    **{"case": case, "of": of, "pue": 1.2345, "pue_method": "measured"},
                    **{"modules": 12, "method": "metered", "from_us": T0, "to_us": T0 + MONTH},
                    **(draw | site),
                    **(left if of != "added" else {}),
                )
            )
    return [plan_table(rows, Plan(12, "liquid-8"))]


_EMITTED = Row(
    **{"name": "2026-01-15", "value": LONG, "workload": "inference", "kwh": 12_345.678},
    **{"quantity": "carbon_average", "g": 4_567_890.1, "g_low": 4.4e6, "g_high": 4.7e6},
    **{"g_gpu": 3_456_789.1, "embodied_g": 123_456.7, "g_per_1k": 0.0432},
    **{"sci_g_per_token": 4.44e-5, "carbon_known_share": 0.9987, "currency": "EUR"},
    **{"money": 1_234.56, "money_low": 1_200, "money_high": 1_270, "money_per_1m": 11.68},
    **{"cost_known_share": 1.0},
)
_DEARER = Row(
    **{"name": "2026-01-15", "value": WIDE, "workload": "training", "kwh": 1.2e-3},
    **{"currency": "EUR", "money": -0.0123, "cost_known_share": 0.5},
)


def _carbon() -> Parts:
    score = {"low": 0.69, "high": 0.73, "coverage_of_period": 0.98}
    site = [Row(name="2026-01-15", value=0.7123, **score), Row(name="2026-01-16")]
    return carbon_parts([_EMITTED, _DEARER], site, CarbonWanted("job", "day"))


def _cost() -> Parts:
    rows = [Row(**{**row, "quantity": None, "embodied_g": None}) for row in (_EMITTED, _DEARER)]
    rows.append(Row(name="all", value=FRENCH, workload="inference", kwh=1.0, currency="EUR"))
    return carbon_parts(rows, [], CarbonWanted("account"))


TABLES: dict[str, Callable[[], Parts]] = {
    "carbon": _carbon,
    "cooling": _cooling,
    "cooling_at_other_classes": _whatif,
    "cooling_fitted": _fit,
    "cost": _cost,
    "modules_by_module": lambda: _modules("module"),
    "modules_by_rack": lambda: _modules("rack"),
    "modules_by_type": lambda: _modules("type"),
    "modules_to_add": _plan,
    "places": lambda: place_parts(load_places(SITE_TOML), T0 + 4 * MONTH),
    "site": lambda: [site_table([_SITE, _HALL], "all")],
    "site_by_month": lambda: [site_table([_SITE, _HALL], "month")],
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_at_four_widths(name: str) -> None:
    assert screens(lambda _: TABLES[name]()) == on_file(name)
