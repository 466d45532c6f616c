"""What the providers' services say, written after their public documentation; none was recorded.

Electricity Maps v3 `/carbon-intensity/history` and `/price-day-ahead/history`, WattTime v3 `/login`
and `/v3/historical`, ENTSO-E's web API document A44.
"""

from __future__ import annotations

import json

CARBON = {
    "zone": "DE",
    "temporalGranularity": "hourly",
    "history": [
        {
            "zone": "DE",
            "carbonIntensity": value,
            "datetime": f"2026-01-15T{hour:02d}:00:00.000Z",
            "updatedAt": "2026-01-15T10:00:00.000Z",
            "emissionFactorType": "lifecycle",
            "isEstimated": hour == 7,
            "estimationMethod": "FORECASTS_HIERARCHY" if hour == 7 else None,
            "temporalGranularity": "hourly",
        }
        for hour, value in ((5, 302), (6, 310.5), (7, 287))
    ],
}

PRICES = {
    "zone": "DE",
    "temporalGranularity": "hourly",
    "history": [
        {
            "zone": "DE",
            "datetime": f"2026-01-15T{hour:02d}:00:00.000Z",
            "createdAt": "2026-01-14T12:00:00.000Z",
            "updatedAt": "2026-01-14T12:00:00.000Z",
            "value": value,
            "unit": "EUR/MWh",
            "source": "nordpool.com",
        }
        for hour, value in ((5, -3.25), (6, 84.1))
    ],
}

LOGIN = {"token": "a-jwt"}

MOER = {
    "data": [
        {"point_time": f"2026-01-15T07:{minute:02d}:00+00:00", "value": value}
        for minute, value in ((0, 1000.0), (5, 870.5))
    ],
    "meta": {
        "data_point_period_seconds": 300,
        "region": "CAISO_NORTH",
        "signal_type": "co2_moer",
        "units": "lbs_co2_per_mwh",
        "model": {"date": "2023-03-01"},
        "warnings": [],
    },
}


NO_MORE = (
    '<?xml version="1.0" encoding="UTF-8"?><Acknowledgement_MarketDocument><Reason>'
    "<code>999</code><text>No matching data found</text></Reason></Acknowledgement_MarketDocument>"
)
"""What ENTSO-E says where there is nothing."""


def day_ahead(prices: list[float], resolution: str = "PT15M") -> str:
    """A document A44 of a day that begins at 2026-01-14T23:00Z, the day of Berlin."""
    points = "".join(
        f"<Point><position>{place}</position><price.amount>{price}</price.amount></Point>"
        for place, price in enumerate(prices, start=1)
    )
    minutes = {"PT15M": 15, "PT60M": 60}[resolution] * len(prices)
    end = f"2026-01-{14 + (23 * 60 + minutes) // 1440:02d}T{(23 + minutes // 60) % 24:02d}:00Z"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<Publication_MarketDocument xmlns="urn:iec62325.351:tc57wg16:451-3:'
        'publicationdocument:7:3">'
        "<mRID>1</mRID><type>A44</type><TimeSeries><mRID>1</mRID>"
        "<currency_Unit.name>EUR</currency_Unit.name>"
        "<price_Measure_Unit.name>MWH</price_Measure_Unit.name><curveType>A03</curveType>"
        f"<Period><timeInterval><start>2026-01-14T23:00Z</start><end>{end}</end></timeInterval>"
        f"<resolution>{resolution}</resolution>{points}</Period></TimeSeries>"
        "</Publication_MarketDocument>"
    )


def text(answer: object) -> str:
    """An answer as the service writes it."""
    return answer if isinstance(answer, str) else json.dumps(answer)
