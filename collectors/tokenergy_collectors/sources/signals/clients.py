"""Asks a provider through its own Python client.

In: the settings of a signal, and an interval. Out: an `Answer`. Tokens go to the clients alone, and
no text of theirs goes into a message: the addresses in it may hold the token.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from math import ceil
from typing import Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.sources.signals.answers import (
    Answer,
    AnswerError,
    of_electricitymaps,
    of_entsoe,
    of_watttime,
)
from tokenergy_collectors.sources.signals.settings import PACKAGES, SignalSource

_TALKATIVE = ("entsoe", "urllib3")
"""Their logs have addresses with the token, even in warnings: they stay silent."""


def load(source: SignalSource) -> None:
    """Import the client of a provider.

    Raises:
        UserError: it is not installed.
    """
    try:
        __import__(source.provider)
    except ImportError:
        raise UserError(
            f"signal_source {source.name!r}: {PACKAGES[source.provider]} is not installed; run "
            "`pip install '.[signals]'`"
        ) from None


def ask(source: SignalSource, from_us: int, until_us: int) -> Answer:
    """Return what a provider says of a signal in an interval, or near it.

    Raises:
        AnswerError: it gives no answer that can be used; the message has no secret in it.
        SecretError: there is no token.
    """
    token = source.token()
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return _ASK[source.provider](source, token, from_us, until_us)
    except AnswerError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AnswerError(f"answers in a form that is not known ({type(error).__name__})") from None
    except Exception as error:  # noqa: BLE001 - each client has its own; their texts hold tokens
        raise AnswerError(_why(error)) from None


def _why(error: Exception) -> str:
    # WattTime's client wraps the error, and writes the address into the text.
    found = (getattr(one, "response", None) for one in (error, error.__cause__))
    # A response of an error counts as false.
    response = next((one for one in found if one is not None), None)
    status = getattr(response, "status_code", None) or getattr(error, "status", None)
    if status in (401, 403):
        return f"refuses the token (HTTP {status})"
    if isinstance(status, int):
        return f"answers with HTTP {status}"
    return f"gives no answer ({type(error).__name__})"


def _electricitymaps(source: SignalSource, token: str, from_us: int, until_us: int) -> Answer:
    """Ask for the last 24 hours, which is what this service has for `history`."""
    import openapi
    from electricitymaps.config import HOST
    from openapi.api.carbon_intensity_api import CarbonIntensityAPI
    from openapi.api.price_day_ahead_api import PriceDayAheadAPI

    configuration = openapi.Configuration(host=source.url or HOST, retries=0)
    configuration.api_key["authToken"] = token
    client = openapi.ApiClient(configuration)
    # The adapters of `electricitymaps` wait for ever; what they are made of takes a timeout.
    history: Any = (
        PriceDayAheadAPI(client).get_price_day_ahead_history
        if source.quantity == "price"
        else CarbonIntensityAPI(client).get_carbon_intensity_history
    )
    found = history(zone_key=source.zone, _request_timeout=float(source.timeout_s))
    return of_electricitymaps(source, json.loads(found.to_json()))


def _watttime(source: SignalSource, token: str, from_us: int, until_us: int) -> Answer:
    import watttime

    class Historical(watttime.WattTimeHistorical):  # type: ignore[misc]
        """Its own login puts user and password into the environment, for all to read."""

        def _login(self) -> None:
            answer = self.session.get(
                f"{self.url_base}/login",
                auth=(source.username, token),
                timeout=source.timeout_s,
            )
            answer.raise_for_status()
            self.headers = {"Authorization": f"Bearer {answer.json()['token']}"}

        def _is_token_valid(self) -> bool:
            return self.headers is not None

    client = Historical()
    client.url_base = source.url or client.url_base
    times = [datetime.fromtimestamp(at_us / 1_000_000, UTC) for at_us in (from_us, until_us)]
    return of_watttime(source, client.get_historical_jsons(*times, source.zone))


def _entsoe(source: SignalSource, token: str, from_us: int, until_us: int) -> Answer:
    import pandas as pd
    import requests
    from entsoe.entsoe import EntsoePandasClient

    class Session(requests.Session):
        """Asks another address where the configuration names one."""

        def get(self, url: Any, **more: Any) -> requests.Response:  # type: ignore[override]
            return super().get(source.url or url, **more)

    client = EntsoePandasClient(
        api_key=token,
        session=Session(),
        retry_count=1,
        retry_delay=0,
        timeout=ceil(source.timeout_s),
    )
    start, end = (pd.Timestamp(at_us, unit="us", tz="UTC") for at_us in (from_us, until_us))
    found = client.query_day_ahead_prices(source.zone, start=start, end=end)
    stamps = [int(stamp.timestamp()) * 1_000_000 for stamp in found.index]
    return of_entsoe(source, [*zip(stamps, map(float, found), strict=True)])


_ASK: dict[str, Callable[[SignalSource, str, int, int], Answer]] = {
    "electricitymaps": _electricitymaps,
    "watttime": _watttime,
    "entsoe": _entsoe,
}
