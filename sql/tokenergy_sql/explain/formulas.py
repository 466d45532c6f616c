"""The formulas of the index, each computed again from the rows of a derivation.

In: a derivation. Out: one row a formula: its text, its inputs, the value computed here in Python,
what `job_index` has, and whether the two agree. Formulas: docs/index-definition.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tokenergy_sql.catalog.namedrows import NamedRow

Number = int | float | None

_RATIO_TOLERANCE = 1e-12
"""Largest relative difference between a ratio computed here and one computed in SQL."""

_BOUNDS = ("", "low_", "high_")
_TOKEN_KINDS = ("prompt_computed", "prompt_cached", "generated", "trained")
_JOINT = (
    *("e_joint_nj", "e_joint_low_nj", "e_joint_high_nj"),
    *("e_joint_facility_nj", "e_joint_facility_low_nj", "e_joint_facility_high_nj"),
    *("n_joint", "n_joint_low", "n_joint_high"),
)
_REQUESTS = ("n_joint_requests", "n_joint_requests_low", "n_joint_requests_high")
_PPB = 1_000_000_000
_J_PER_KWH = 3.6e6
_NJ_PER_J = 1e9


@dataclass(frozen=True, slots=True)
class Formula:
    """A figure of `job_index`: its column, its formula in words or symbols, inputs and value."""

    name: str
    text: str
    value: Number
    inputs: dict[str, Number] = field(default_factory=dict)

    def compared(self, index: NamedRow) -> NamedRow:
        """Return the formula as a row, beside what a row of `job_index` has."""
        booked = index[self.name]
        return {
            "name": self.name,
            "formula": self.text,
            "inputs": self.inputs,
            "value": self.value,
            "booked": booked,
            "agrees": self._agrees(booked),
        }

    def _agrees(self, booked: Number) -> bool:
        if self.value is None or booked is None:
            return self.value is None and booked is None
        # Energies are whole nanojoules and must be equal; divisions may differ in the last bit.
        tolerance = 0.0 if self.name.endswith("_nj") else _RATIO_TOLERANCE * abs(booked)
        return abs(self.value - booked) <= tolerance


@dataclass(frozen=True, slots=True)
class Ratio:
    """Energy per token or request: the columns that are divided, `energy` in nJ by `tokens`."""

    name: str
    energy: str
    tokens: str

    def formula(self, values: Mapping[str, Number], *, defined: bool) -> Formula:
        """Return the ratio in J/token; without a value if not `defined` or an input is unknown."""
        energy_nj, tokens = values[self.energy], values[self.tokens]
        value = None
        if defined and energy_nj is not None and tokens:
            value = energy_nj / _NJ_PER_J / tokens
        inputs = {self.energy: energy_nj, self.tokens: tokens}
        return Formula(self.name, f"{self.energy} / 1e9 / {self.tokens}", value, inputs)


def formulas(derivation: Mapping[str, Any]) -> list[NamedRow]:
    """Return the formulas of a derivation, each with its value and what is booked.

    A row is `name`, `formula` (text with its inputs by name), `inputs`, `value` (computed here;
    None where an input is unknown), `booked` (what `job_index` has) and `agrees`.
    """
    index = derivation["index"]
    sums = [*_energies(derivation), *_token_counts(derivation), *_joint(derivation)]
    values = {formula.name: formula.value for formula in sums}
    return [formula.compared(index) for formula in (*sums, *_ratios(values, index))]


def _energies(derivation: Mapping[str, Any]) -> list[Formula]:
    return [
        *(_gpu_energy(derivation, bound) for bound in _BOUNDS),
        _host_energy(derivation),
        *(_facility_energy(derivation, bound) for bound in _BOUNDS),
    ]


def _gpu_energy(derivation: Mapping[str, Any], bound: str) -> Formula:
    """Return the GPU energy or one of its bounds: the sum over the job's ledger rows."""
    column = f"{bound or 'energy_'}nj"
    parts = [row[column] for row in derivation["ledger"] if row[column] is not None]
    text = f"sum of ledger.{column} of the job"
    index = derivation["index"]
    name = f"e_gpu_{bound}nj"
    if bound and index["unseen_us"]:
        # No row of the ledger has the time of a device that nothing recorded.
        unseen_nj = int(index[name]) - sum(parts)
        text += " + what unseen time may have drawn"
        return Formula(name, text, sum(parts) + unseen_nj, {"unseen_us": index["unseen_us"]})
    return Formula(name, text, sum(parts) if parts else None)


def _host_energy(derivation: Mapping[str, Any]) -> Formula:
    parts = [row["e_host_nj"] for row in derivation["hosts"]]
    text = "sum over hours and nodes of node_host_nj * device_us // capacity_us"
    return Formula("e_host_nj", text, sum(parts) if parts and None not in parts else None)


def _facility_energy(derivation: Mapping[str, Any], bound: str) -> Formula:
    """Return the facility energy or one of its bounds, hour by hour as the index does it."""
    hours = derivation["hours"]
    gpu, pue = f"e_gpu_{bound}nj", f"pue_{bound}ppb"
    # An hour with tokens alone has no booked energy and adds nothing.
    booked = [hour for hour in hours if _hour_gpu_nj(hour, gpu) is not None]
    parts = [_hour_facility_nj(hour, gpu, bound) for hour in booked]
    known_nj = [part for part in parts if part is not None]
    value = None
    if parts and len(known_nj) == len(parts) and derivation["index"]["e_gpu_nj"] is not None:
        value = sum(known_nj)
    inputs = {}
    if len(hours) == 1:
        # Of several hours no single set of values could be put into the formula.
        energies = (f"e_it_{bound}nj",) if bound else (gpu, "e_host_nj")
        inputs = {name: hours[0][name] for name in (*energies, pue)}
    energy = f"e_it_{bound}nj" if bound else f"({gpu} + e_host_nj)"
    text = f"sum over hours of {energy} * {pue} // {_PPB}"
    text += " + 1" if bound == "high_" else ""
    beyond_us = derivation["index"]["unseen_us"] - sum(hour["unseen_us"] for hour in hours)
    if bound == "high_" and value is not None and beyond_us > 0:
        # Time outside all indexed hours has no row either.
        value, text = derivation["index"][f"e_facility_{bound}nj"], f"{text}, and unseen time"
    return Formula(f"e_facility_{bound}nj", text, value, inputs)


def _hour_gpu_nj(hour: NamedRow, gpu: str) -> int | None:
    """Return an hour's GPU energy; its lower bound if nothing metered the GPUs in it."""
    energy_nj: int | None = hour[gpu] if hour[gpu] is not None else hour["e_gpu_low_nj"]
    return energy_nj


def _hour_facility_nj(hour: NamedRow, gpu: str, bound: str) -> int | None:
    """Return an hour's facility energy or one of its bounds.

    Args:
        hour: of the derivation.
        gpu: column of the GPU energy.
        bound: prefix of the bound's columns; empty: the energy itself.
    """
    pue_ppb, it_nj = hour[f"pue_{bound}ppb"], hour[f"e_it_{bound}nj"] if bound else None
    if not bound and hour[gpu] is None:
        # Of an hour in which nothing metered the GPUs the least counts.
        return _hour_facility_nj(hour, gpu, "low_")
    if not bound and hour["e_host_nj"] is not None:
        it_nj = hour[gpu] + hour["e_host_nj"]
    if it_nj is None or pue_ppb is None:
        return None
    # The division rounds down; the upper bound is rounded up.
    energy_nj: int = it_nj * pue_ppb // _PPB + (bound == "high_")
    return energy_nj


def _counted_kind(index: NamedRow) -> str:
    """Return the kind of token that the job's energy is divided by."""
    return "trained" if index["workload"] == "training" else "generated"


def _has_index(index: NamedRow) -> bool:
    """Return whether the job either served or trained; a mixed job has no energy per token."""
    return index["workload"] in ("training", "inference")


def _token_counts(derivation: Mapping[str, Any]) -> list[Formula]:
    index = derivation["index"]
    counts = [
        Formula(f"n_{kind}", "sum of token_usage over hours", _usage(derivation, kind, "tokens"))
        for kind in _TOKEN_KINDS
    ]
    kind = _counted_kind(index)
    bounds = [
        Formula(
            f"n_{bound}",
            f"sum of token_usage.{bound} of {kind} tokens over hours",
            _usage(derivation, kind, bound) if _has_index(index) else None,
        )
        for bound in ("low", "high")
    ]
    tokens = _usage(derivation, kind, "tokens")
    return [*counts, *(_from_own_edges(bound, tokens, derivation) for bound in bounds)]


def _from_own_edges(formula: Formula, tokens: Number, derivation: Mapping[str, Any]) -> Formula:
    """Return a bound of tokens as the index has it, if its hours leave room for that.

    Of several hours the index takes the bound from the job's own edges: what an edge between two
    hours leaves open cancels. Neither the sum of the hours nor the tokens are ever closer.

    Args:
        formula: the sum of the bounds of the hours.
        tokens: what is bounded.
        derivation: has the hours and the index.
    """
    booked, of_hours = derivation["index"][formula.name], formula.value
    if len(derivation["hours"]) < 2 or booked is None or of_hours is None or tokens is None:
        return formula
    if booked == of_hours or not min(of_hours, tokens) <= booked <= max(of_hours, tokens):
        return formula
    text = (
        f"by the readings around the job's own edges; the bounds of its hours add up to {of_hours}"
    )
    return Formula(formula.name, text, booked)


def _usage(derivation: Mapping[str, Any], kind: str, column: str) -> int | None:
    rows: list[int] = [row[column] for row in derivation["token_usage"] if row["kind"] == kind]
    return rows[0] if rows else None


def _joint(derivation: Mapping[str, Any]) -> list[Formula]:
    """Return energy, tokens and requests of the time in which they are known: sums over hours."""
    hours = [hour for hour in derivation["hours"] if hour["e_joint_nj"] is not None]
    found = []
    # Most servers are never asked for requests: no line says so.
    told = derivation["index"]["n_joint_requests"] is not None
    for name in (*_JOINT, *(_REQUESTS if told else ())):
        parts = [_hour_joint(hour, name) for hour in hours]
        # A boundary that is unknown in one hour of the ratio is unknown in the sum.
        missing = any(
            part is None and hour["joint_us"] for part, hour in zip(parts, hours, strict=True)
        )
        known = [part for part in parts if part is not None]
        value = None if missing or not known else sum(known)
        found.append(Formula(name, f"sum over hours of {name}", value))
    tokens = next(formula.value for formula in found if formula.name == "n_joint")
    closer = ("n_joint_low", "n_joint_high")
    return [
        _from_own_edges(one, tokens, derivation) if one.name in closer else one for one in found
    ]


def _hour_joint(hour: NamedRow, name: str) -> int | None:
    """Return a joint sum of an hour; the facility's again from the GPU, where that is all of it."""
    bound = next((b for b in ("low_", "high_") if name.endswith(f"{b}nj")), "")
    whole = all(hour[f"e_joint_{b}nj"] == hour[f"e_gpu_{b}nj"] for b in _BOUNDS)
    if "facility" not in name or not whole or hour["joint_us"] != hour["covered_us"]:
        value: int | None = hour[name]
        return value
    return _hour_facility_nj(hour, f"e_joint_{bound}nj", bound)


def _ratios(values: Mapping[str, Number], index: NamedRow) -> list[Formula]:
    """Return the ratios of the index; without values for a mixed job or one without tokens."""
    gpu = "te_train" if _counted_kind(index) == "trained" else "te_gpu_out"
    # Least energy over most tokens is the lower bound, and the other way round.
    ratios: tuple[Ratio, ...] = (
        Ratio(gpu, "e_joint_nj", "n_joint"),
        Ratio("te_gpu_low", "e_joint_low_nj", "n_joint_high"),
        Ratio("te_gpu_high", "e_joint_high_nj", "n_joint_low"),
        Ratio("tokenergy", "e_joint_facility_nj", "n_joint"),
        Ratio("te_low", "e_joint_facility_low_nj", "n_joint_high"),
        Ratio("te_high", "e_joint_facility_high_nj", "n_joint_low"),
    )
    if values.get("n_joint_requests") is not None:
        ratios += (
            Ratio("j_per_request", "e_joint_nj", "n_joint_requests"),
            Ratio("j_per_request_low", "e_joint_low_nj", "n_joint_requests_high"),
            Ratio("j_per_request_high", "e_joint_high_nj", "n_joint_requests_low"),
        )
    sparse = "low_joint_coverage" in index["reason_codes"].split(",")
    defined = _has_index(index) and bool(values["n_joint"]) and not sparse
    found = [ratio.formula(values, defined=defined) for ratio in ratios]
    tokenergy = next(formula.value for formula in found if formula.name == "tokenergy")
    per_kwh = _J_PER_KWH / tokenergy if tokenergy else None
    inputs = {"tokenergy": tokenergy}
    return [*found, Formula("tokens_per_kwh", "3.6e6 / tokenergy", per_kwh, inputs)]
