"""Asks a Prometheus-compatible store over its HTTP API, and says clearly why there is no answer.

In: the address of the store, and what its door asks for (a bearer token, headers, a CA). Out: the
`data` of an answer, or an error that says what to try.

Prometheus, Thanos, VictoriaMetrics and Mimir serve the same two calls under different prefixes:
`/api/v1/query` and `/api/v1/label/__name__/values`.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from tokenergy_collectors.base.backoff import Backoff
from tokenergy_collectors.base.errors import UserError

_MAX_BYTES = 256 << 20
_CHUNK_BYTES = 1 << 18
_TRIES = 6
_BUSY = (429, 500, 502, 503, 504)
"""Answers after which the same question may work a little later."""

_TOO_MUCH = ("too many samples", "maximum number of samples", "too many points", "too many chunks",
             "too many series", "maxsamplesperquery", "timed out", "timeout", "canceled",
             "limit of", "exceeds", "exceeded", "too large")  # fmt: skip
"""What stores say when they would answer a smaller question: Prometheus, Mimir, VictoriaMetrics."""

PREFIXES = (
    "Mimir answers under /prometheus, VictoriaMetrics' cluster under /select/0/prometheus, and "
    "some sites add a prefix of their own"
)


class TooMuchError(Exception):
    """The store would answer a question about less time."""


@dataclass(frozen=True, slots=True)
class Door:
    """How to get to a store.

    Attributes:
        url: its address, with the prefix that its API has, without `/api/v1`.
        bearer_file: file that holds the key for the header `Authorization: Bearer`.
        header_file: file with further headers, one `Name: value` a line.
        ca_file: certificates (PEM) that sign the store's, if the system does not know them.
        timeout_s: how long one answer may take, seconds.
    """

    url: str
    bearer_file: Path | None = None
    header_file: Path | None = None
    ca_file: Path | None = None
    timeout_s: float = 120.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: a key belongs to one address, and most redirects lead to a login."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


@dataclass(slots=True)
class Client:
    """Asks one store.

    Args:
        door: how to get to it.
        sleep_s: waits between two tries.

    Attributes:
        warnings: what the store said beside its answers, each once.
    """

    door: Door
    sleep_s: Callable[[float], None] = time.sleep
    warnings: list[str] = field(default_factory=list)
    _opener: urllib.request.OpenerDirector = field(init=False)

    def __post_init__(self) -> None:
        # Not the proxies of the environment: only what the user configured is asked.
        handlers: list[urllib.request.BaseHandler] = [
            urllib.request.ProxyHandler({}), _NoRedirect()
        ]  # fmt: skip
        if self.door.url.startswith("https:"):  # to load the system's certificates takes a while
            handlers.append(urllib.request.HTTPSHandler(context=_context(self.door.ca_file)))
        self._opener = urllib.request.build_opener(*handlers)

    def ask(self, path: str, parameters: Mapping[str, str | list[str]]) -> Any:
        """Return the `data` of an answer; a store that is busy is asked again.

        Args:
            path: the call, such as `/api/v1/query`.
            parameters: of the call.

        Raises:
            TooMuchError: the store wants a smaller question.
            UserError: it cannot be reached or does not answer as a store does; says what to try.
        """
        query = urllib.parse.urlencode(parameters, doseq=True)
        url = f"{self.door.url.rstrip('/')}{path}?{query}"
        waits = Backoff(1.0, 30.0)
        while True:
            try:
                return self._answer(self._get(url))
            except _BusyError as error:
                wait_s = waits.failed()
                if waits.failures >= _TRIES:
                    raise UserError(
                        f"{self.door.url}: {error}, {_TRIES} times in a row: check --url, or run "
                        "the command again later; it continues where it stopped"
                    ) from None
                self.sleep_s(wait_s)

    def _get(self, url: str) -> tuple[int, str, bytes]:
        """Return status, media type and body."""
        request = urllib.request.Request(url, headers=_headers(self.door))  # noqa: S310 - `plan.order` takes http(s) alone
        deadline_s = time.monotonic() + self.door.timeout_s
        try:
            with self._opener.open(request, timeout=self.door.timeout_s) as answer:
                body = _read(answer, deadline_s)
                return answer.status, answer.headers.get("Content-Type", ""), body
        except urllib.error.HTTPError as error:
            with error:
                if 300 <= error.code < 400:
                    self._fail_redirect(error.headers.get("Location", ""))
                body = error.read(1 << 16)
                return error.code, error.headers.get("Content-Type", ""), body
        except ssl.SSLError as error:
            self._fail_tls(error)
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLError):
                self._fail_tls(error.reason)
            raise _BusyError(f"cannot be reached: {error.reason}") from None
        except TimeoutError:
            raise TooMuchError(f"no answer within {self.door.timeout_s:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            raise _BusyError(f"answer broke off: {error or type(error).__name__}") from None

    def _answer(self, got: tuple[int, str, bytes]) -> Any:
        status, kind, body = got
        try:
            told = json.loads(body)
        except ValueError:
            told = None
        said = str(told.get("error", "")) if isinstance(told, dict) else ""
        if status in (413, 422) or (status in (*_BUSY, 400) and _is_too_much(said)):
            if _is_too_much(said) or status == 413:
                raise TooMuchError(said or f"HTTP {status}")
        elif status in _BUSY:
            raise _BusyError(f"HTTP {status}{f': {said[:200]}' if said else ''}")
        if status != 200 or not isinstance(told, dict) or told.get("status") != "success":
            self._fail(status, kind, said)
        for warning in told.get("warnings") or ():
            if str(warning) not in self.warnings:
                self.warnings.append(str(warning))
        if told.get("isPartial"):  # VictoriaMetrics' cluster: a part of it did not answer
            raise _BusyError("a part of the store did not answer")
        if "data" not in told:
            self._fail(status, kind, said)
        return told["data"]

    def _fail(self, status: int, kind: str, said: str) -> NoReturn:
        """Say what an answer means and what to do next."""
        about = self.door.url
        if status in (401, 403):
            key = self.door.bearer_file or self.door.header_file
            hint = f"refuses the key in {key}" if key else (
                "asks for a key: give --bearer-file FILE, or --header-file FILE for another header"
            )  # fmt: skip
            raise UserError(f"{about}: HTTP {status}: {hint}")
        if "html" in kind.lower():
            raise UserError(
                f"{about}: answers with a web page (HTTP {status}): expected the API of the store, "
                f"not its user interface, a login or Grafana; {PREFIXES}"
            )
        if said:
            raise UserError(f"{about}: HTTP {status}: {said[:300]}")
        if status == 404:
            raise UserError(f"{about}: has no /api/v1 (HTTP 404): {PREFIXES}")
        raise UserError(
            f"{about}: HTTP {status}, and no answer of a Prometheus API: expected JSON with "
            f'"status": "success"; {PREFIXES}'
        )

    def _fail_redirect(self, location: str) -> NoReturn:
        raise UserError(
            f"{self.door.url}: redirects to {location[:200] or 'another address'}: give the "
            "address that answers itself; if that is a login, give --bearer-file or --header-file"
        )

    def _fail_tls(self, error: ssl.SSLError) -> NoReturn:
        if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
            raise UserError(f"{self.door.url}: answers without TLS: expected http://...") from None
        why = getattr(error, "verify_message", "") or error.reason or str(error)
        raise UserError(
            f"{self.door.url}: TLS: {why}: give --ca-file FILE with the certificate (PEM) of the "
            "authority that signed the store's"
        ) from None


class _BusyError(Exception):
    """The store may answer a little later."""


def _is_too_much(said: str) -> bool:
    return any(words in said.lower() for words in _TOO_MUCH)


def _read(answer: http.client.HTTPResponse, deadline_s: float) -> bytes:
    """Read an answer whole.

    Raises:
        TooMuchError: it is very long, or takes too long.
        _BusyError: it is not whole.
    """
    body = bytearray()
    # `read1` returns what has come: a server that sends a byte now and then meets the deadline.
    while chunk := answer.read1(_CHUNK_BYTES):
        body += chunk
        if len(body) > _MAX_BYTES:
            raise TooMuchError(f"an answer of more than {_MAX_BYTES >> 20} MiB")
        if time.monotonic() > deadline_s:
            raise TooMuchError("an answer that takes too long")
    promised = answer.headers.get("Content-Length")
    if promised is not None and promised != str(len(body)):
        raise _BusyError(f"answer broke off after {len(body)} bytes")
    return bytes(body)


def _context(ca_file: Path | None) -> ssl.SSLContext:
    if ca_file is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        why = getattr(error, "strerror", None) or "holds no certificate in PEM"
        raise UserError(f"--ca-file {ca_file}: {why}") from None


def _headers(door: Door) -> dict[str, str]:
    """Return the headers of a request. Files are read each time: a new key needs no restart."""
    found = {"Accept": "application/json", "User-Agent": "tokenergy"}
    if door.header_file is not None:
        for line in _text(door.header_file, "--header-file").splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            name, colon, value = line.partition(":")
            if not colon or not name.strip().replace("-", "").isalnum():
                raise UserError(
                    f"--header-file {door.header_file}: expected lines such as "
                    "X-Scope-OrgID: team-a"
                )
            found[name.strip()] = value.strip()
    if door.bearer_file is not None:
        key = _text(door.bearer_file, "--bearer-file").strip()
        if not key or "\n" in key:
            raise UserError(
                f"--bearer-file {door.bearer_file}: expected one line that holds the key"
            )
        found["Authorization"] = f"Bearer {key}"
    return found


def _text(path: Path, option: str) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "is not text"
        raise UserError(f"{option} {path}: {why}") from None
