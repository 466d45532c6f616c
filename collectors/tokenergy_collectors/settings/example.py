"""Prints configurations as TOML: the example with every key, and one that is in effect.

In: the models of `config`. Out: TOML text, made from their fields, so that no key can be left out.
In the example a key without a default starts with `#` and no space: remove the `#` to use the key.
"""

from __future__ import annotations

import json
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from tokenergy_collectors.settings.config import Config

_HEADER = "Configuration of tokenergy-collect: every key with its meaning and default."
_COMMENT_CHARS = 98
_TYPES: dict[Any, str] = {
    dict[str, str]: "a table of texts",
    tuple[str, ...]: "a list of texts",
    tuple[int | float, ...]: "a list of numbers",
    str: "text",
    Path: "a path",
    float: "a number",
    int: "a whole number",
    bool: "true or false",
}
_EMPTY: tuple[object, ...] = ((), {})
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def example() -> str:
    """Return a complete configuration file: every key with its default, bounds and meaning."""
    return "\n".join([*_comment(_HEADER), *_example_of(Config, "")]) + "\n"


def effective(config: Config) -> str:
    """Return a configuration as TOML that reads back the same, without the keys that are unset."""
    return "\n".join(_values_of(config, "")) + "\n"


def _example_of(model: type[BaseModel], table: str, *, optional: bool = False) -> Iterator[str]:
    """Yield the lines of one table: its own keys first, since TOML reads on into a sub-table.

    Of an optional one, a repeatable table such as [[tokens]] and those inside it, all keys are
    commented out: it is only an example.
    """
    tables = {name: found for name, field in model.model_fields.items() if (found := _table(field))}
    for name, field in model.model_fields.items():
        if name in tables:
            continue
        name = field.alias or name
        yield ""
        yield from _comment(str(field.description))
        yield from _comment(_expected(field))
        default = None if field.default in _EMPTY else field.default
        if field.is_required() and not table:
            yield f"{name} = {_toml(field.examples[0] if field.examples else '')}"
        elif default is None or default is PydanticUndefined:
            yield f"#{name} = {_toml(field.examples[0] if field.examples else '')}"
        else:
            yield f"{'#' if optional else ''}{name} = {_toml(default)}"
    for name, (sub, repeated) in tables.items():
        key = model.model_fields[name].alias or name
        path = f"{table.strip('[]')}.{key}" if table else key
        header = f"[[{path}]]" if repeated else f"[{path}]"
        yield ""
        yield from _comment(str(model.model_fields[name].description))
        yield f"#{header}" if repeated or optional else header
        yield from _example_of(sub, header, optional=repeated or optional)


def _values_of(model: BaseModel, table: str) -> Iterator[str]:
    """Yield the lines of one table that has values."""
    # Sub-tables come after all plain keys, or TOML would put these keys into a sub-table.
    later: list[tuple[str, BaseModel]] = []
    for field_name, field in type(model).model_fields.items():
        value, name = getattr(model, field_name), field.alias or field_name
        if isinstance(value, BaseModel):
            later.append((f"[{table}{name}]", value))
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            later += [(f"[[{table}{name}]]", one) for one in value]
        # An empty list says something where none is not the default.
        elif value is not None and (value not in _EMPTY or value != field.default):
            yield f"{name} = {_toml(value)}"
    for header, one in later:
        lines = list(_values_of(one, header.strip("[]") + "."))
        if lines:
            yield from ("", header, *lines)


def _table(field: FieldInfo) -> tuple[type[BaseModel], bool] | None:
    """Return the model of a field that is a table, and whether it may be repeated."""
    kind = field.annotation
    inner = get_args(kind)[0] if get_origin(kind) is tuple else kind
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        return inner, inner is not kind
    return None


def _expected(field: FieldInfo) -> str:
    """Return a key's default and its allowed values, as a sentence."""
    bounds = [
        f"{word} {getattr(limit, bound):g}"
        for limit in field.metadata
        for bound, word in _BOUNDS.items()
        if hasattr(limit, bound)
    ]
    need = "No default" if field.default in (None, *_EMPTY) or field.default_factory else None
    need = need or ("Required" if field.is_required() else f"Default {_toml(field.default)}")
    return f"{need}; {', '.join([_choices(field.annotation), *bounds])}."


def _choices(kind: Any) -> str:
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(_choices(one) for one in get_args(kind) if one is not type(None))
    if get_origin(kind) is Literal:
        return " or ".join(_toml(one) for one in get_args(kind))
    return _TYPES[kind]


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, _COMMENT_CHARS, break_on_hyphens=False)]


def _toml(value: object) -> str:
    """Return a value as TOML; JSON writes text, numbers and truth values the same way."""
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, (str, bool, int, float)):
        # TOML accepts JSON's escapes except surrogate pairs, and accepts no bare DEL.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        pairs = ", ".join(f"{_toml(key)} = {_toml(one)}" for key, one in value.items())
        return f"{{ {pairs} }}"
    raise TypeError(f"{value!r}: no key of the configuration has such a value")
