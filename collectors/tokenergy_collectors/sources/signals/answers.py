"""What a provider said, as values of a signal.

In: the answers of providers' clients. Out: an `Answer`. Units are those that the answer names; one
that is not known is an error and no value.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, NamedTuple

from tokenergy_collectors.lake.contract import LONGEST_SIGNAL_US
from tokenergy_collectors.lake.newsignals import SignalName, Value
from tokenergy_collectors.lake.signalunits import SignalUnit, unit_of
from tokenergy_collectors.sources.signals.settings import SignalSource

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_MINUTE_US = 60_000_000
_STEPS = {"hourly": 60, "15_minutes": 15, "5_minutes": 5}
"""Minutes of Electricity Maps' granularities; coarser ones are no signal of an hour."""

_UNITS = {"lbs_co2_per_mwh": "lbCO2/MWh"}
"""WattTime's names of units."""


class AnswerError(Exception):
    """An answer that cannot be used; the message holds nothing of the request."""


class Answer(NamedTuple):
    """What a provider said.

    Attributes:
        name: what the values are of.
        values: from when until when, value, state.
    """

    name: SignalName
    values: Sequence[Value]


def of_electricitymaps(source: SignalSource, answer: Mapping[str, Any]) -> Answer:
    """Return the history of Electricity Maps: see `HistoryResponse...` of its client."""
    granularity = str(answer["temporalGranularity"])
    minutes = _STEPS.get(granularity)
    if minutes is None:
        raise AnswerError(f"answers in steps that are {granularity[:20]}: expected an hour or less")
    rows = answer["history"]
    if source.quantity == "price":
        units = {str(row["unit"]) for row in rows}
        unit = _unit("price", units, source)
        values = [_value(row["datetime"], minutes, row["value"], unit, None) for row in rows]
        return Answer(_name(source, unit), values)
    unit = unit_of("carbon_average", "gCO2/kWh")
    kinds = {str(row["emissionFactorType"]) for row in rows}
    if len(kinds) > 1:
        raise AnswerError("answers with direct and with lifecycle values: expected one kind")
    values = [
        _value(
            row["datetime"],
            minutes,
            row["carbonIntensity"],
            unit,
            "estimated" if row["isEstimated"] else "actual",
        )
        for row in rows
    ]
    lifecycle = {"lifecycle": True, "direct": False}.get(next(iter(kinds), ""))
    return Answer(_name(source, unit, lifecycle), values)


def of_watttime(source: SignalSource, answers: Iterable[Mapping[str, Any]]) -> Answer:
    """Return the historical values of WattTime's v3: `co2_moer`."""
    values: list[Value] = []
    unit = unit_of("carbon_marginal", "lbCO2/MWh")
    for answer in answers:
        meta = answer["meta"]
        unit = _unit("carbon_marginal", {str(meta["units"])}, source)
        minutes = int(meta["data_point_period_seconds"]) // 60
        values += [
            _value(
                row["point_time"],
                minutes,
                row["value"],
                unit,
                "estimated" if row.get("imputed_data_used") else None,
            )
            for row in answer["data"]
        ]
    return Answer(_name(source, unit), values)


def of_entsoe(source: SignalSource, prices: Sequence[tuple[int, float]]) -> Answer:
    """Return day-ahead prices of ENTSO-E.

    Args:
        source: the signal.
        prices: start of each interval (us UTC) and EUR/MWh, ascending.
    """
    unit = unit_of("price", "EUR/MWh" if source.currency == "EUR" else f"{source.currency}/MWh")
    steps = [later[0] - before[0] for before, later in itertools.pairwise(prices)]
    usual = min(steps, default=60 * _MINUTE_US)
    # Quarters after hours, where the market changed: each price holds until the next one begins.
    lengths = [min(step, LONGEST_SIGNAL_US) for step in [*steps, usual]]
    values: list[Value] = [
        (start, start + length, _whole(unit, price), None)
        for (start, price), length in zip(prices, lengths, strict=True)
    ]
    return Answer(_name(source, unit), values)


def _unit(quantity: str, units: set[str], source: SignalSource) -> SignalUnit:
    if len(units) != 1:
        raise AnswerError(f"answers in {len(units)} units: expected one")
    (unit,) = units
    try:
        return unit_of(quantity, _UNITS.get(unit, unit))
    except ValueError as error:
        raise AnswerError(f"answers in a unit that is not known: {error}") from None


def _name(source: SignalSource, unit: SignalUnit, lifecycle: bool | None = None) -> SignalName:
    return SignalName(source.name, source.quantity, lifecycle, source.zone, unit.currency)


def _value(start: Any, minutes: int, number: Any, unit: SignalUnit, status: str | None) -> Value:
    moment = datetime.fromisoformat(str(start))
    if moment.tzinfo is None or not 0 < minutes <= 60:
        raise AnswerError("answers with times without an offset, or steps that are not of minutes")
    from_us = (moment - _EPOCH) // _US
    whole = None if number is None else _whole(unit, number)
    return from_us, from_us + minutes * _MINUTE_US, whole, status


def _whole(unit: SignalUnit, number: float) -> int | None:
    # NaN is a hole.
    if number != number:
        return None
    try:
        return unit.whole(Fraction(str(number)))
    except ValueError as error:
        raise AnswerError(f"answers with a value that cannot be: {error}") from None
