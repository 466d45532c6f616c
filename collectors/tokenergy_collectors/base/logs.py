"""The collector's log: one line per event on standard error, as logfmt or as JSON.

In: events with their fields, and records that libraries log. Out: lines of one format. Everything
goes through one handler of the standard `logging`, so that a JSON log contains only JSON.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Literal

_LOGGER = logging.getLogger("tokenergy_collectors")
_OWN_TROUBLE = frozenset({"drop", "error", "quarantined", "seal_failed", "torn"})
"""Events about the collector itself, written even by a quiet log."""

_PLAIN = re.compile(r"[^\s\"=\\\x00-\x1f\x7f-\x9f]+")
"""A value that needs no quotes in logfmt."""

Form = Literal["text", "json"]


class Formatter(logging.Formatter):
    """Writes a record as one line: time, level, event, then the event's fields.

    Args:
        form: logfmt ("text") or JSON.
    """

    def __init__(self, form: Form) -> None:
        super().__init__()
        self._json = form == "json"

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a record without fields, such as a library's, is the event `notice`."""
        fields: dict[str, object] | None = getattr(record, "fields", None)
        values: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": "notice" if fields is None else record.msg,
            **({"logger": record.name, "why": _message(record)} if fields is None else fields),
        }
        if record.exc_info and record.exc_info[1] is not None:
            values["error"] = repr(record.exc_info[1])
        if self._json:
            return json.dumps(values, default=str)
        return " ".join(f"{key}={_logfmt(value)}" for key, value in values.items())


class _StandardError(logging.Handler):
    """Writes to standard error as it is at the moment: tests replace it."""

    def emit(self, record: logging.LogRecord) -> None:
        # A closed pipe, or a name that cannot be encoded, must not end the sampling.
        with suppress(OSError, ValueError):
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()


HANDLER = _StandardError()
"""The only handler of the process; `Log` installs it."""


class Log:
    """Writes events of the collector.

    Args:
        form: format of the lines of the whole process; the `Log` made last decides.
        quiet: write only problems of the collector itself, not those of boards and endpoints.
    """

    def __init__(self, form: Form, *, quiet: bool = False) -> None:
        self._quiet = quiet
        HANDLER.setFormatter(Formatter(form))
        root = logging.getLogger()
        if HANDLER not in root.handlers:
            root.addHandler(HANDLER)
        # Only our own logger: libraries keep the root's level, which is WARNING.
        logging.captureWarnings(True)  # else Python writes them to standard error as plain text
        _LOGGER.setLevel(logging.INFO)

    def info(self, event: str, **fields: object) -> None:
        """Write an event that is no problem."""
        if not self._quiet:
            _LOGGER.info(event, extra={"fields": fields})

    def warning(self, event: str, **fields: object) -> None:
        """Write an event that is a problem; the collector continues."""
        if not self._quiet or event in _OWN_TROUBLE:
            _LOGGER.warning(event, extra={"fields": fields})


class SilentLog(Log):
    """Writes nothing: for who only looks on."""

    def __init__(self) -> None:
        self._quiet = True

    def warning(self, event: str, **fields: object) -> None:
        """Write nothing."""


def _logfmt(value: object) -> str:
    """Return a value as logfmt: bare if that is unambiguous, else quoted as in JSON."""
    if value is None or isinstance(value, (bool, dict, list, tuple)):
        value = json.dumps(value, default=str, separators=(",", ":"))
    text = str(value)
    # What a terminal or a reader of lines could take for a command is escaped, whatever its range.
    printable = text.isprintable()
    if printable and _PLAIN.fullmatch(text):
        return text
    return json.dumps(text, ensure_ascii=not printable)


def _message(record: logging.LogRecord) -> str:
    """Return the text of a record; one whose arguments do not fit must not stop who logs it."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return f"{record.msg} {record.args}"
