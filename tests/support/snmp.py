"""SNMP agents on loopback: a real one (net-snmp's snmpd), and one that answers as it is told.

Neither shares code with the collector's library: BER is written here by hand.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

SNMPD = shutil.which("snmpd") or shutil.which("snmpd", path="/usr/sbin:/usr/local/sbin")
MISSING = "no snmpd here: apt-get install snmpd"

BASE = "1.3.6.1.4.1.8072.9999.1"
"""Where snmpd has its planted objects."""

GET, RESPONSE = 0xA0, 0xA2

NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_MIB = b"\x80\x00", b"\x81\x00", b"\x82\x00"


def ber(tag: int, content: bytes) -> bytes:
    """Return a value of BER."""
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def number(value: int, tag: int = 2) -> bytes:
    """Return a whole number; tags: 2 Integer32, 0x41 Counter32, 0x42 Gauge32, 0x46 Counter64."""
    return ber(tag, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def text(value: bytes) -> bytes:
    """Return an OctetString."""
    return ber(4, value)


def ber_oid(oid: str) -> bytes:
    """Return an OBJECT IDENTIFIER."""
    one, two, *rest = (int(arc) for arc in oid.split("."))
    content = bytes([40 * one + two])
    for arc in rest:
        digits = [arc & 0x7F]
        while arc := arc >> 7:
            digits.append(0x80 | (arc & 0x7F))
        content += bytes(reversed(digits))
    return ber(6, content)


def parts(data: bytes) -> list[tuple[int, bytes]]:
    """Return tag and content of each value in data."""
    found, at = [], 0
    while at < len(data):
        tag, size, at = data[at], data[at + 1], at + 2
        if size & 0x80:
            count = size & 0x7F
            size, at = int.from_bytes(data[at : at + count], "big"), at + count
        found.append((tag, data[at : at + size]))
        at += size
    return found


class Request(NamedTuple):
    """A request of v2c."""

    community: bytes
    kind: int
    id_: bytes
    oids: list[bytes]


def request_of(data: bytes) -> Request:
    """Return what a message asks for; its objects by their BER."""
    [(_, message)] = parts(data)
    (_, version), (_, community), (kind, pdu) = parts(message)
    assert version == b"\x01"
    (_, id_), _, _, (_, binds) = parts(pdu)
    return Request(community, kind, id_, [ber(6, parts(bind)[0][1]) for _, bind in parts(binds)])


def response(request: Request, binds: Sequence[tuple[bytes, bytes]], status: int = 0) -> bytes:
    """Return the message that answers a request."""
    body = b"".join(ber(0x30, name + value) for name, value in binds)
    pdu = ber(2, request.id_) + number(status) + number(0) + ber(0x30, body)
    return ber(0x30, number(1) + ber(4, request.community) + ber(RESPONSE, pdu))


class Agent:
    """An agent of v2c in a thread of its own.

    Args:
        objects: the BER of values by OID.
        answer: returns messages for a request, in place of those objects; None: the usual one.

    Attributes:
        requests: how many objects each request asked for.
        kinds: the kinds of PDU that came.
        asked: set once a request has come in.
    """

    def __init__(
        self,
        objects: dict[str, bytes],
        answer: Callable[[Request], Sequence[bytes] | None] = lambda _: None,
    ) -> None:
        self.objects = objects
        self._answer = answer
        self.requests: list[int] = []
        self.kinds: set[int] = set()
        self.asked = threading.Event()
        self.port = 0

    def __enter__(self) -> Agent:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Listen; the port is the same after a restart."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", self.port))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def kill(self) -> None:
        """Answer nobody any more."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while data := self._socket.recvfrom(65_535):
            message, asker = data
            if not message:
                return
            request = request_of(message)
            self.requests.append(len(request.oids))
            self.kinds.add(request.kind)
            answers = self._answer(request)
            for one in [self.usual(request)] if answers is None else answers:
                self._socket.sendto(one, asker)
            self.asked.set()

    def usual(self, request: Request) -> bytes:
        """Return the answer with the agent's objects."""
        known = {ber_oid(oid): value for oid, value in self.objects.items()}
        return response(request, [(oid, known.get(oid, NO_SUCH_OBJECT)) for oid in request.oids])


_CONF = """
agentaddress udp:127.0.0.1:{port}
rocommunity {community} 127.0.0.1
createUser reader SHA-256 {auth} AES {priv}
createUser signer SHA {auth}
rouser reader priv
rouser signer auth
pass .{base} /bin/sh {folder}/pass.sh
"""

_SCRIPT = """
[ "$1" = -g ] || exit 0
while read -r oid type value; do
  [ "$oid" = "$2" ] && printf '%s\\n%s\\n%s\\n' "$oid" "$type" "$value" && exit 0
done < {folder}/values
exit 0
"""

_MODULES = "system_mib,snmpEngine,pass,usmConf,usmUser,usmStats,vacm_vars,vacm_conf,override"


class Snmpd:
    """A real agent: net-snmp's, in a child process.

    Args:
        folder: where it keeps its files.
        values: type and value by the last number below `BASE`, in the words of snmpd's `pass`.

    Attributes:
        community, auth, priv: who may read.
        port: where it listens; the same after a restart.
    """

    community, auth, priv = "readers-of-pdu", "passphrase-auth", "passphrase-priv"

    def __init__(self, folder: Path, values: dict[int, tuple[str, object]]) -> None:
        self._folder = folder
        self.values = values
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        for name, words in (("snmpd.conf", _CONF), ("pass.sh", _SCRIPT)):
            found = words.replace("{folder}", str(folder)).replace("{port}", str(self.port))
            for key in ("community", "auth", "priv"):
                found = found.replace(f"{{{key}}}", getattr(self, key))
            (folder / name).write_text(found.replace("{base}", BASE))
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Snmpd:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.kill()

    def put(self, **values: tuple[str, object]) -> None:
        """Change values: n3=("gauge", 7) is the object 3."""
        self.values |= {int(name[1:]): value for name, value in values.items()}
        self._write()

    def _write(self) -> None:
        path = self._folder / "values"
        lines = (f".{BASE}.{at} {type_} {value}\n" for at, (type_, value) in self.values.items())
        path.with_suffix(".new").write_text("".join(lines))
        path.with_suffix(".new").replace(path)

    def start(self) -> None:
        """Start it; return once it listens."""
        assert SNMPD is not None
        self._write()
        state = self._folder / "state"
        state.mkdir(exist_ok=True)
        environment = os.environ | {
            "MIBS": "", "SNMP_PERSISTENT_DIR": str(state), "SNMPCONFPATH": str(state),
        }  # fmt: skip
        self._process = subprocess.Popen(
            [SNMPD, "-f", "-Le", "-C", "-c", self._folder / "snmpd.conf", "-r",
             "-p", self._folder / "pid", "-I", _MODULES],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stderr is not None
        said = ""
        while "NET-SNMP version" not in said:
            line = self._process.stderr.readline()
            assert line, f"snmpd ended: {said}"
            said += line

    def kill(self, *, forget: bool = False) -> None:
        """Kill it, as a loss of power would; with `forget` it becomes another engine of v3."""
        process, self._process = self._process, None
        assert process is not None
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()
        if forget:
            shutil.rmtree(self._folder / "state")
