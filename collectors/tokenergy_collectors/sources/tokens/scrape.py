"""Fetches the metrics page of one token endpoint over HTTP.

In: a URL. Out: its text, in Prometheus text format (`page.py` parses it), or a `ScrapeError` that
says why there is none.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from pathlib import Path

_MAX_BYTES = 32 << 20
_CHUNK_BYTES = 1 << 16

# An endpoint is on the local network: ignore a proxy that the environment names for other traffic.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ScrapeError(Exception):
    """The endpoint did not answer, or not in Prometheus text format."""


def fetch(url: str, timeout_s: float, bearer_file: Path | None = None) -> str:
    """Return the text an endpoint serves.

    Args:
        url: its address.
        timeout_s: how long it may take, seconds.
        bearer_file: file that holds the key for the header `Authorization: Bearer`.

    Raises:
        ScrapeError: it cannot be reached, is too slow, or answers with an error, with part of a
            text, with too much text, with JSON, or not in UTF-8; or the key cannot be read.
    """
    deadline_s = time.monotonic() + timeout_s
    body = bytearray()
    try:
        with _OPENER.open(_request(url, bearer_file), timeout=timeout_s) as answer:
            # The timeout above is for one read: a server that sends a byte now and then needs this.
            while chunk := answer.read1(_CHUNK_BYTES):
                body += chunk
                if len(body) > _MAX_BYTES:
                    raise ScrapeError(f"more than {_MAX_BYTES} bytes")
                if time.monotonic() > deadline_s:
                    raise ScrapeError(f"not complete after {timeout_s:g} s")
            promised = answer.headers.get("Content-Length")
        text = body.decode("utf-8")
    except urllib.error.HTTPError as error:
        with error:
            raise ScrapeError(_refusal(error.code, bearer_file)) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ScrapeError(str(error) or type(error).__name__) from None
    # No line of Prometheus text begins like this.
    if text.lstrip()[:1] in ("[", "{"):
        raise ScrapeError(
            "answers in JSON: expected Prometheus text (TensorRT-LLM serves it at "
            "/prometheus/metrics)"
        )
    # A number that is cut off would look like a counter that fell.
    if (promised is not None and promised != str(len(body))) or (text and text[-1] != "\n"):
        raise ScrapeError(f"cut off after {len(body)} bytes")
    return text


def _request(url: str, bearer_file: Path | None) -> urllib.request.Request:
    request = urllib.request.Request(url)  # noqa: S310 -- the configuration takes http(s) alone
    if bearer_file is not None:
        # Read each time, so that a new key needs no restart.
        try:
            key = bearer_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "is not text"
            raise ScrapeError(f"bearer_file {bearer_file}: {why}") from None
        if not key or "\n" in key:
            raise ScrapeError(f"bearer_file {bearer_file}: expected one line that holds the key")
        # Not for the address that a redirect names: the key belongs to this one.
        request.add_unredirected_header("Authorization", f"Bearer {key}")
    return request


def _refusal(code: int, bearer_file: Path | None) -> str:
    """Return what an HTTP error means and what to do next."""
    if code not in (401, 403):
        return f"HTTP {code}"
    if bearer_file is not None:
        return f"HTTP {code}: refuses the key in {bearer_file}"
    return f"HTTP {code}: asks for a key: set bearer_file to a file that holds it"
