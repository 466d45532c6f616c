"""The layout of a CSV file of token counters: which columns are stamps, counters and labels.

In: the header and the rows of a file. Out: readings, each with the labels of its series. In the
wide form a file has one line a stamp. In the long form it has one line a series and stamp, and
columns that name the series: `instance`, `engine`, `model`, ...
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from tokenergy_collectors.base.csvfile import BadValueError
from tokenergy_collectors.sources.tokens.counters import Counter, counter_of, labels_of

_MAX_TOKENS = 2**63 - 1
_MAX_DIGITS = 40
_DIGITS = 6
_ROUNDED = re.compile(r"\d(?:\.\d{1,5})?e\+\d+", re.IGNORECASE)
_ALL_DIGITS = re.compile(r"\d\.\d{6,}e\+\d+", re.IGNORECASE)

LABELS = frozenset(
    [
        *("engine", "instance", "model", "model_name", "job", "pod", "namespace", "container"),
        *("service", "deployment", "replica", "replicaid", "worker", "workerid", "worker_id"),
        *("endpoint", "url", "server", "host", "hostname", "node", "port", "target", "rank"),
        *("dp_rank", "tp_rank", "pp_rank", "moe_ep_rank", "mode", "cluster", "source"),
    ]
)
"""Columns that are labels in any file, in lower case. Others are labels where a stamp repeats."""

_OF_REQUESTS = frozenset(("completion_tokens", "total_tokens"))
"""Names of what an OpenAI answer says of one request."""


@dataclass(frozen=True, slots=True)
class CounterColumn:
    """A column of values of one counter."""

    place: int
    name: str
    counter: Counter
    labels: Mapping[str, str]
    """The labels that its name holds in braces."""


@dataclass(slots=True)
class Layout:
    """The columns of a file.

    Attributes:
        stamp: place of the stamp.
        counters: columns of counters.
        labels: places of the columns that are labels, by name.
        others: places of all other columns, by name.
    """

    stamp: int
    counters: list[CounterColumn]
    labels: dict[str, int]
    others: dict[str, int]

    @classmethod
    def of(cls, header: list[str]) -> Layout:
        """Return the layout of a header.

        Raises:
            BadValueError: it has no stamp or no counter, two columns are one counter, or its
                columns are those of single requests.
        """
        names = [name.lower() for name in header]
        if "timestamp" not in names:
            raise BadValueError(
                f"has no column timestamp; its columns are {', '.join(header)[:200]}"
            )
        stamp = names.index("timestamp")
        if of_requests := _OF_REQUESTS.intersection(names):
            raise BadValueError(
                f"column {min(of_requests)} counts the tokens of one request: expected totals "
                "that only grow, such as generation_tokens_total"
            )
        found = cls(stamp, [], {}, {})
        for place, name in enumerate(header):
            if place != stamp:
                found._add(place, name)
        if not found.counters:
            raise BadValueError(
                f"has no known token counter; its columns are {', '.join(header)[:200]}; expected, "
                "for example, vllm:prompt_tokens_total or generation_tokens_total"
            )
        return found

    def _add(self, place: int, name: str) -> None:
        counter = counter_of(name)
        if counter is None:
            (self.labels if name.lower() in LABELS else self.others)[name] = place
            return
        labels = labels_of(name)
        for other in self.counters:
            if other.counter.role == counter.role and other.labels == labels:
                if other.counter.choice != counter.choice:
                    continue
                raise BadValueError(
                    f"columns {other.name!r} and {name!r} both count {counter.role}: expected one"
                )
        self.counters.append(CounterColumn(place, name, counter, labels))

    def labels_in(self, row: list[str]) -> dict[str, str]:
        """Return the labels of a row; an empty cell is no label."""
        return {name: row[place] for name, place in self.labels.items() if row[place]}

    def name_series(self, rows: Iterable[tuple[int, list[str]]]) -> list[str]:
        """Make all other columns labels if lines of one stamp differ; else return their names.

        Args:
            rows: stamps and cells.

        Raises:
            BadValueError: one of these columns cannot be a label, since it differs in most lines.
        """
        rows = list(rows)
        cells = {(ts_us, *self.labels_in(row).items(), self._counts(row)) for ts_us, row in rows}
        stamps = {(ts_us, *self.labels_in(row).items()) for ts_us, row in rows}
        if len(cells) == len(stamps) or not self.others:
            return list(self.others)
        for name, place in self.others.items():
            values = len({row[place] for _, row in rows})
            if values > max(2, len(rows) // 2):
                raise BadValueError(
                    f"column {name!r} has {values} values in {len(rows)} lines: expected the name "
                    "of a server in it, since a stamp repeats; remove the column if it is not one"
                )
        self.labels |= self.others
        self.others = {}
        return []

    def _counts(self, row: list[str]) -> tuple[str, ...]:
        return tuple(row[column.place] for column in self.counters)


def quantum_of(cells: Iterable[str]) -> dict[str, int]:
    """Return the steps in which the cells of a column are printed, of those that are rounded.

    A number with an exponent and at most six digits was rounded to six, as C++ prints by itself,
    unless another cell of the column has more digits.
    """
    cells = [cell.strip() for cell in cells]
    if any(_ALL_DIGITS.fullmatch(cell) for cell in cells):
        return {}
    exponents = {
        cell: int(re.split("e", cell, flags=re.IGNORECASE)[1])
        for cell in cells
        if _ROUNDED.fullmatch(cell)
    }
    return {cell: 10 ** (n - _DIGITS + 1) for cell, n in exponents.items() if n >= _DIGITS}


def count_of(text: str) -> int | None:
    """Return a counter's value; None if the cell is empty or NaN.

    Raises:
        BadValueError: it is not a whole number, or is negative.
    """
    text = text.strip()
    if text.lower() in ("", "nan"):
        return None
    try:
        value = Decimal(text)
        # Check the exponent before making an integer: 1e999999999 would fill the memory.
        small = value.is_finite() and abs(value.adjusted()) < _MAX_DIGITS
        if small and value == int(value) and 0 <= value <= _MAX_TOKENS:
            return int(value)
    except InvalidOperation:
        pass
    raise BadValueError(f"cannot read counter {text[:60]!r}: expected a whole number, 0 or more")
