"""Reads the file of a benchmark, whichever of the known ones it is.

In: a path. Out: a `Run`. A file is told by its fields, not by its name.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from tokenergy_collectors.base.csvfile import BadValueError
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.benchmark.aiperf import (
    is_record,
    is_summary,
    read_records,
    read_summary,
)
from tokenergy_collectors.importers.benchmark.run import Run
from tokenergy_collectors.importers.benchmark.vllm import MARKS, read_vllm

_EXPECTED = (
    "expected what `vllm bench serve --save-result` writes, or AIPerf's profile_export_aiperf.json "
    "or profile_export.jsonl"
)
_OF_AIPERF = "profile_export"
"""AIPerf names the files of all runs alike; what tells them apart is the folder."""


def read_run(path: Path) -> Run:
    """Return the run of a file.

    Raises:
        UserError: the file cannot be read, or is none of a benchmark; names the field or the line.
    """
    try:
        content = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "is not text"
        raise UserError(f"{path}: {why}: {_EXPECTED}") from None
    try:
        return _run_of(content, _name_of(path))
    except BadValueError as error:
        raise UserError(f"{path}: {error}") from None


def _name_of(path: Path) -> str:
    stem = path.name.removesuffix(".jsonl").removesuffix(".json")
    return path.resolve().parent.name if stem.startswith(_OF_AIPERF) else stem


def _run_of(content: str, name: str) -> Run:
    if not content.strip():
        raise BadValueError(f"is empty: {_EXPECTED}")
    try:
        whole = json.loads(content)
    except (ValueError, RecursionError):
        return _run_of_lines(content, name)
    if not isinstance(whole, dict):
        raise BadValueError(f"is no JSON object: {_EXPECTED}")
    if is_record(whole):
        return read_records([(1, whole)], name)
    if is_summary(whole):
        return read_summary(whole, name)
    _require_vllm(whole)
    return read_vllm(whole, name)


def _run_of_lines(content: str, name: str) -> Run:
    """Return the run of a file with one object a line."""
    lines = _objects(content)
    first = next(lines)
    if is_record(first[1]):
        return read_records(_records(chain([first], lines)), name)
    _require_vllm(first[1])
    raise BadValueError(
        f"has {1 + sum(1 for _ in lines)} results, as --append-result writes them: expected one; "
        "give each of them a file of its own"
    )


def _objects(content: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    # Not splitlines: what JSON may hold as it is, such as U+2028, would end a line there.
    for place, line in enumerate(io.StringIO(content, newline="\n"), 1):
        if line.strip():
            yield place, _object(line, place)


def _records(
    lines: Iterable[tuple[int, Mapping[str, Any]]],
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for place, found in lines:
        if not is_record(found):
            raise BadValueError(f"line {place}: is no record of a request: {_EXPECTED}")
        yield place, found


def _object(line: str, place: int) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise BadValueError(f"line {place}: is no JSON: {_EXPECTED}") from None
    if not isinstance(found, dict):
        raise BadValueError(f"line {place}: is no JSON object: {_EXPECTED}")
    return found


def _require_vllm(found: Mapping[str, Any]) -> None:
    """Refuse an object that no version of vLLM wrote.

    Raises:
        BadValueError: it has too few of the fields; one that lacks a single field is named by it.
    """
    known = [name for name in MARKS if name in found]
    if len(known) < len(MARKS) - 1 or not ("date" in found or "model_id" in found):
        fields = ", ".join(list(found)[:5]) or "none"
        raise BadValueError(f"is JSON of another program (its fields: {fields}, ...): {_EXPECTED}")
