"""The base of every table in a profile: unknown keys are errors, and errors are one line.

In: a pydantic validation error. Out: one line that names the key, the value and what is allowed.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

_SHOWN_CHARS = 60


class Strict(BaseModel):
    """A table that knows its keys, converts no types and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key, value in data.items():
                if key not in cls.model_fields:
                    raise PydanticCustomError(
                        "unknown_key",
                        "unknown key {key} = {value}; allowed: {allowed}",
                        {
                            "key": shown(key),
                            "value": shown(value),
                            "allowed": ", ".join(cls.model_fields),
                        },
                    )
        return data


def shown(value: object) -> str:
    """Return a value as it may stand in an error: one line, not too long."""
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 3] + "..."


def first_error(error: ValidationError) -> str:
    """Return the first of a validation error's findings as one line."""
    found = error.errors(include_url=False)
    first = found[0]
    where = ".".join(str(part) for part in first["loc"]) or "profile"
    line = f"{where}: {first['msg'].removeprefix('Value error, ')}"
    if first["type"] not in ("unknown_key", "missing", "value_error"):
        line += f", got {shown(first['input'])}"
    more = len(found) - 1
    line = " ".join(line.split())
    return f"{line} (and {more} more)" if more else line
