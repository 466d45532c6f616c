"""Request logs: when requests arrive, how long their prompts are, how many tokens they get.

In: a CSV (plain or gzip) with the columns `offset_ms,context,generated`, sorted by offset; two
slices of real traffic are shipped in `data/`. Out: an endless, repeating stream of requests.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tokenergy_collectors.base.errors import UserError

SHIPPED = {
    path.name.removesuffix(".csv.gz"): path
    for path in sorted((Path(__file__).parent / "data").glob("*.csv.gz"))
}
"""Names of the logs that come with the package."""

_COLUMNS = ["offset_ms", "context", "generated"]


class Request(NamedTuple):
    """One request: arrival since the log's start, prompt tokens, tokens to generate."""

    arrival_us: int
    context: int
    generated: int


@dataclass(frozen=True, slots=True)
class RequestLog:
    """Requests in order of arrival, and the time after which the log repeats."""

    requests: list[Request]
    period_us: int

    def stream(self, rate: float = 1.0) -> Iterator[Request]:
        """Yield requests without end, arriving `rate` times as fast as in the log."""
        round_us = 0
        while True:
            for request in self.requests:
                arrival_us = round((round_us + request.arrival_us) / rate)
                yield Request(arrival_us, request.context, request.generated)
            round_us += self.period_us


def load_log(name_or_path: str, folder: Path) -> RequestLog:
    """Load a shipped log by its name, or a CSV by its path (relative to `folder`).

    Raises:
        UserError: there is no such log, or a row of it cannot be used.
    """
    path = SHIPPED.get(name_or_path, folder / name_or_path)
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a CSV"
        names = ", ".join(SHIPPED)
        raise UserError(f"request log {path}: {reason}; expected {names} or a CSV file") from None
    requests = _parse(text, path)
    span_us = requests[-1].arrival_us
    # Between two rounds of the log: its mean spacing, so that the rate of arrivals stays the same.
    spacing_us = max(span_us // max(len(requests) - 1, 1), 1_000)
    return RequestLog(requests, span_us + spacing_us)


def _parse(text: str, path: Path) -> list[Request]:
    rows = csv.reader(text.splitlines())
    if next(rows, None) != _COLUMNS:
        raise UserError(f"request log {path}: expected the header {','.join(_COLUMNS)}")
    found: list[Request] = []
    for number, row in enumerate(rows, start=2):
        try:
            offset_ms, context, generated = (int(value) for value in row)
        except ValueError:
            raise UserError(f"request log {path}, line {number}: expected 3 integers") from None
        last_us = found[-1].arrival_us if found else 0
        if offset_ms * 1_000 < last_us or context < 1 or generated < 1:
            raise UserError(
                f"request log {path}, line {number}: {','.join(row)}: expected offsets that do not "
                "fall, and at least 1 token"
            )
        found.append(Request(offset_ms * 1_000, context, generated))
    if not found:
        raise UserError(f"request log {path}: contains no requests")
    return found
