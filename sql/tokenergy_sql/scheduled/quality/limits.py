"""From where on something is a finding: the limits of the looks.

In: environment variables, or values given by hand. Out: limits, checked. A DAG file imports this
each time it is parsed, so nothing heavy is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenergy_collectors.base.durations import parse_duration
from tokenergy_collectors.base.errors import UserError

DEFAULTS = {"silent": "2h", "forget": "168h", "coverage": "0.9", "clock": "1s"}
"""The limits as texts, by the names of the parameters and options."""

VARIABLES = {name: f"TOKENERGY_QUALITY_{name.upper()}" for name in DEFAULTS}
"""The environment variables that change them."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the looks.

    Attributes:
        silent_us: a node without readings for so long is silent.
        forget_us: a node without readings for so long is taken for gone, and no finding any more.
        coverage: a node of whose device time less than this share has known power is a finding.
        clock_us: a clock that is off, or was set, by more than this is a finding.
    """

    silent_us: int
    forget_us: int
    coverage: float
    clock_us: int


def limits_of(values: Mapping[str, Any]) -> Limits:
    """Return the limits of some values, named as in `DEFAULTS`.

    Raises:
        UserError: a value cannot be used; the message names it.
    """
    found = {**DEFAULTS, **values}
    lengths = {name: _length(name, found[name]) for name in ("silent", "forget", "clock")}
    if lengths["forget"] <= lengths["silent"]:
        raise UserError(f"forget {found['forget']}: expected more than silent, {found['silent']}")
    coverage = _share(found["coverage"])
    return Limits(lengths["silent"], lengths["forget"], coverage, lengths["clock"])


def texts_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the limits as texts, those of the environment before the defaults.

    Raises:
        ValueError: a variable has a bad value; the message names it and what is expected.
    """
    texts = {name: environ.get(VARIABLES[name]) or text for name, text in DEFAULTS.items()}
    for name, text in texts.items():
        try:
            _share(text) if name == "coverage" else _length(name, text)
        except UserError as error:
            raise ValueError(f"{VARIABLES[name]}={text!r}: {error}") from error
    return texts


def _length(name: str, text: Any) -> int:
    try:
        return parse_duration(str(text))
    except UserError:
        raise UserError(f"{name} {text!r}: expected a time such as 90s, 30m or 2h") from None


def _share(value: Any) -> float:
    try:
        share = float(value)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UserError(f"coverage {value!r}: expected a number from 0 to 1")
    return share
