"""Reads TOML files that people write: unknown keys are errors, and every error is one line.

In: a file and its pydantic model. Out: the model, or a `UserError` that names the file, the key,
the value and what is allowed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from tokenergy_collectors.base.errors import UserError

_SHOWN_CHARS = 60
_NOTICES: dict[str, None] = {}
"""Remarks on files that were read. They wait here: the file itself says how to write the log."""


class Strict(BaseModel):
    """A table of a TOML file: it refuses unknown keys and other types, and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    renamed: ClassVar[dict[str, str]] = {}
    """Old names of keys, still accepted, and the names that they have now."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            data = {cls._current_name(key, data): value for key, value in data.items()}
            # A key that Python reserves, such as `from`, is the alias of its field.
            allowed = [field.alias or name for name, field in cls.model_fields.items()]
            for key, value in data.items():
                if key not in allowed:
                    raise PydanticCustomError(
                        "unknown_key",
                        "unknown key {key} = {value}; allowed: {allowed}",
                        {
                            "key": shown(key),
                            "value": shown(value),
                            "allowed": ", ".join(allowed),
                        },
                    )
        return data

    @classmethod
    def _current_name(cls, key: str, data: Mapping[str, object]) -> str:
        """Return the name that a key has now; a key given under both names keeps both."""
        name = cls.renamed.get(key, key)
        if name == key or name in data:
            return key
        _NOTICES[f"the key {key} is now called {name}; rename it in your configuration"] = None
        return name


def take_notices() -> list[str]:
    """Return what was noticed in files since the last call, each text once."""
    # One at a time: a reload may read a file in another thread meanwhile.
    found = []
    while _NOTICES:
        notice = next(iter(_NOTICES))
        del _NOTICES[notice]
        found.append(notice)
    return found


Model = TypeVar("Model", bound=Strict)


def load_toml(
    path: Path | None, model: type[Model], overrides: Mapping[str, object] | None = None
) -> Model:
    """Read a TOML file into a model.

    Args:
        path: the file; None to use the overrides alone.
        model: its keys and their types.
        overrides: top-level keys that replace the file's; those that are None do not.

    Raises:
        UserError: the file is missing, is not TOML, or does not fit the model.
    """
    name = "options" if path is None else str(path)
    try:
        data = {} if path is None else tomllib.loads(path.read_text("utf-8"))
        data |= {key: value for key, value in (overrides or {}).items() if value is not None}
        return model.model_validate(data)
    except OSError as error:
        raise UserError(f"{name}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{name}: not a TOML file: {error}{_hint(str(error))}") from None
    except ValidationError as error:
        raise UserError(f"{name}: {first_error(error)}") from None


def _hint(error: str) -> str:
    """Return what to do about an error of TOML that few understand; empty for others."""
    if "immutable namespace" in error:
        return "; it is written in two ways, as `key = ...` and as [key] or [[key]]: keep one"
    return ""


def shown(value: object) -> str:
    """Return a value for an error message: on one line, shortened if long."""
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 3] + "..."


def first_error(error: ValidationError) -> str:
    """Return the first problem of a validation error as one line, with the number of others."""
    found = error.errors(include_url=False)
    first = found[0]
    where = ".".join(str(part) for part in first["loc"]) or "file"
    line = f"{where}: {first['msg']}"
    if first["type"] not in ("unknown_key", "missing", "value_error"):
        line += f", got {shown(first['input'])}"
    more = len(found) - 1
    line = " ".join(line.split())
    return f"{line} (and {more} more)" if more else line
