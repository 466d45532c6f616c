"""Fetches the metrics page of one token endpoint over HTTP.

In: a URL. Out: its text, in Prometheus text format (`page.py` parses it), or a `ScrapeError` that
says why there is none.
"""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from tokenergy_collectors.sources.tokens.settings import Tls

_MAX_BYTES = 32 << 20
_CHUNK_BYTES = 1 << 16


class ScrapeError(Exception):
    """The endpoint did not answer, or not in Prometheus text format."""


class _SameServer(urllib.request.HTTPRedirectHandler):
    """Follows redirects to other paths of the server, but to no other server."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if (before.scheme, before.netloc) != (after.scheme, after.netloc):
            where = f"{after.scheme}://{after.hostname}"
            raise ScrapeError(f"redirects to {where}: give the address of the page itself")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(
    url: str,
    timeout_s: float,
    bearer_file: Path | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
    tls: Tls | None = None,
) -> str:
    """Return the text an endpoint serves.

    Args:
        url: its address.
        timeout_s: how long it may take, seconds.
        bearer_file: file that holds the key for the header `Authorization: Bearer`.
        headers: further HTTP headers.
        tls: how an https address is reached.

    Raises:
        ScrapeError: it cannot be reached, is too slow, or answers with an error, with part of a
            text, with too much text, with JSON or a web page, not in UTF-8, or with the address of
            another server; or the key or a certificate cannot be read.
    """
    deadline_s = time.monotonic() + timeout_s
    body = bytearray()
    request = _request(url, bearer_file, headers)
    try:
        with _opener(tls).open(request, timeout=timeout_s) as answer:
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
    if text.lstrip()[:1] == "<":
        raise ScrapeError("answers with a web page, such as a login: expected Prometheus text")
    # A number that is cut off would look like a counter that fell.
    if (promised is not None and promised != str(len(body))) or (text and text[-1] != "\n"):
        raise ScrapeError(f"cut off after {len(body)} bytes")
    return text


def _opener(tls: Tls | None) -> urllib.request.OpenerDirector:
    # An endpoint is on the local network: ignore a proxy that the environment names for others.
    handlers: list[Any] = [urllib.request.ProxyHandler({}), _SameServer]
    if tls is not None:
        # Read each time, so that a new certificate needs no restart.
        handlers.append(urllib.request.HTTPSHandler(context=_context(tls)))
    return urllib.request.build_opener(*handlers)


def _context(tls: Tls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.cert_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(str(f) for f in (tls.ca_file, tls.cert_file, tls.key_file) if f)
        why = getattr(error, "strerror", None) or error
        raise ScrapeError(f"tls: {files}: {why}") from None
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _request(
    url: str, bearer_file: Path | None, headers: Mapping[str, str]
) -> urllib.request.Request:
    try:
        request = urllib.request.Request(url)  # noqa: S310 -- the configuration takes http(s) alone
    except ValueError as error:
        raise ScrapeError(str(error)) from None
    for name, value in headers.items():
        request.add_unredirected_header(name, value)
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
    if code == 404:
        return (
            "HTTP 404: no such page; most servers have /metrics (SGLang with --enable-metrics, "
            "llama.cpp with --metrics), TensorRT-LLM /prometheus/metrics"
        )
    if code not in (401, 403):
        return f"HTTP {code}"
    if bearer_file is not None:
        return f"HTTP {code}: refuses the key in {bearer_file}"
    return f"HTTP {code}: asks for a key: set bearer_file to a file that holds it"
