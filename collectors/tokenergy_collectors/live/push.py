"""The push of metrics of one process: off, or on to an address that a reload may change.

In: the configuration, at start and at every reload. Out: a pusher of the live view.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.live.view import LiveView
from tokenergy_collectors.settings.config import Config, Otel

if TYPE_CHECKING:
    from tokenergy_collectors.live.otel import OtelPusher


class Push:
    """Pushes a view to the configured address; methods may be called from several threads.

    Args:
        view: the view to push.
    """

    def __init__(self, view: LiveView) -> None:
        self._view = view
        self._lock = threading.Lock()
        self._closed = False
        self._settings = Otel()
        self._pusher: OtelPusher | None = None

    def follow(self, config: Config) -> None:
        """Push as a configuration says; do nothing if that is as before.

        Raises:
            UserError: the packages are missing, or headers cannot be read; the old one goes on.
        """
        settings = config.otel
        with self._lock:
            if settings == self._settings or self._closed:
                return
            pusher = None
            if settings.endpoint is not None:
                self._view.node = self._view.node or config.node
                pusher = self._push(settings.endpoint, settings, Log(config.log_format))
            self._stop()
            self._settings, self._pusher = settings, pusher

    def close(self) -> None:
        """Stop pushing and do not start again."""
        with self._lock:
            self._closed = True
            self._stop()

    def _push(self, endpoint: str, settings: Otel, log: Log) -> OtelPusher:
        headers = {} if settings.headers_file is None else read_headers(settings.headers_file)
        try:
            from tokenergy_collectors.live.otel import OtelPusher
        except ImportError:
            raise UserError(
                "otel: the SDK of OpenTelemetry is needed: pip install 'tokenergy[otel]'"
            ) from None
        log.info("otel", to=endpoint)
        return OtelPusher(self._view, endpoint, headers, settings.every_s, settings.timeout_s, log)

    def _stop(self) -> None:
        if self._pusher is not None:
            self._pusher.close()
            self._pusher = None


def read_headers(path: Path) -> dict[str, str]:
    """Return the headers of a file: a line `Name: value` for each.

    Raises:
        UserError: it cannot be read, or a line is no header.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "is not text"
        raise UserError(f"otel.headers_file: {path}: {why}") from None
    found = {}
    for number, line in enumerate(lines, 1):
        name, colon, value = (part.strip() for part in line.partition(":"))
        if line.strip() and not (colon and name and value and line.isascii()):
            # The line itself may hold a key, so it is not repeated.
            raise UserError(f"otel.headers_file: {path}, line {number}: expected `Name: value`")
        if line.strip():
            found[name] = value
    return found
