"""Where an endpoint listens: a loopback address and port, or a Unix socket.

In: text such as `127.0.0.1:9465`, `[::1]:9465` or `unix:/run/tokenergy/metrics.sock`. Out: an
`Address`, or a `ValueError` of one line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

_EXPECTED = "expected 127.0.0.1:PORT, [::1]:PORT or unix:/PATH"
_LONGEST_PATH = 107
"""Bytes; the kernel's limit for the path of a Unix socket."""

_HOST_PORT = re.compile(r"(?:\[([^\[\]]+)\]|([^\[\]:]+)):(\d{1,5})")


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address, or the path of a Unix socket.

    Attributes:
        text: the address as given.
        host: host of a TCP address.
        port: its port.
        path: path of a Unix socket; None for TCP.
    """

    text: str
    host: str = ""
    port: int = 0
    path: str | None = None


def parse_loopback_port(text: str) -> Address:
    """Return a TCP address that only this host can reach.

    Raises:
        ValueError: the text is not an address and port, or other hosts could reach it.
    """
    try:
        address = parse_listen(text)
    except ValueError:
        address = Address(text, path="")
    if address.path is not None:
        raise ValueError(f"{text!r}: expected 127.0.0.1:PORT or [::1]:PORT")
    return address


def parse_address(text: str) -> Address:
    """Return an address.

    Raises:
        ValueError: the text is not an address.
    """
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/") or "\x00" in path or len(path.encode()) > _LONGEST_PATH:
            raise ValueError(
                f"{text!r}: not an absolute path of up to {_LONGEST_PATH} bytes; {_EXPECTED}"
            )
        return Address(text, path=path)
    found = _HOST_PORT.fullmatch(text)
    if not found or int(found[3]) > 65_535:
        raise ValueError(f"{text!r}: {_EXPECTED}")
    return Address(text, host=found[1] or found[2], port=int(found[3]))


def parse_listen(text: str) -> Address:
    """Return an address that only this host can reach.

    Raises:
        ValueError: the text is not an address, or other hosts could reach it.
    """
    address = parse_address(text)
    if address.path is not None:
        return address
    # A name could resolve to any address, so only localhost is accepted, as a literal.
    host = "127.0.0.1" if address.host == "localhost" else address.host
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError(f"{text!r}: not a loopback address; {_EXPECTED}")
    return Address(text, host=host, port=address.port)


def refuse_credentials(url: str, instead: str) -> str:
    """Return a URL unchanged if it contains no user name or password.

    Args:
        url: the URL, or a plain path.
        instead: what is expected instead, for the error message.

    Raises:
        ValueError: it contains some. The message does not repeat the URL, which has the password.
    """
    _, scheme, rest = url.partition("://")
    if scheme and "@" in rest.split("/", 1)[0]:
        raise ValueError(f"holds credentials; expected {instead}")
    return url
