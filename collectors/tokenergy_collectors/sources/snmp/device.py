"""Reads all objects of one SNMP agent.

In: the device's settings, and the link to its agent. Out: for each object a reading, or why there
is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tokenergy_collectors.sources.meters.groups import Groups
from tokenergy_collectors.sources.meters.reader import MeterReader, Outcome
from tokenergy_collectors.sources.meters.values import NoReadingError
from tokenergy_collectors.sources.snmp.link import Link, Values
from tokenergy_collectors.sources.snmp.settings import Oid, SnmpDevice
from tokenergy_collectors.sources.snmp.values import decode

MOST_BYTES = 1_200
"""How long an answer may become: in Ethernet's 1,500 it then also fits with v3 and IPv6."""

_HEADER_BYTES = 4
_NUMBER_BYTES, _TEXT_BYTES = 9, 40


class SnmpReader(MeterReader):
    """Reads one device.

    Args:
        settings: its objects.
        link: to its agent.
        monotonic_us: returns monotonic time, for the waits.
    """

    def __init__(self, settings: SnmpDevice, link: Link, monotonic_us: Callable[[], int]) -> None:
        context = f"/{settings.context}" if settings.context else ""
        name = f"{settings.host}:{settings.port}{context}"
        super().__init__(name, settings.about, settings.every_s, monotonic_us)
        self._oids = settings.oids
        self._link = link
        groups = make_groups(settings.oids, settings.most_oids)
        self._groups = Groups(groups, self._get, monotonic_us)

    def points(self) -> Sequence[Oid]:
        """Return the objects."""
        return self._oids

    def close(self) -> None:
        """End a request under way."""
        self._link.close()

    def away(self) -> None:
        """Ask for whole groups again."""
        self._groups.forget()

    def ask(self, found: list[Outcome]) -> None:
        """Read each object once, in few requests.

        Args:
            found: gets the outcomes.

        Raises:
            AwayError: nobody answers.
        """
        self._groups.read(found)

    def _get(self, group: Sequence[Oid]) -> Iterator[Outcome]:
        return outcomes(group, self._link.get([one.oid for one in group]))


def outcomes(group: Sequence[Oid], answer: Values) -> Iterator[Outcome]:
    """Yield what the objects of a group say."""
    for one, found in zip(group, answer.values, strict=True):
        try:
            value = decode(found, one.type, one.invalid)
        except NoReadingError as error:
            yield Outcome(one, answer.ts_us, None, str(error))
        else:
            yield Outcome(one, answer.ts_us, value)


def make_groups(oids: Sequence[Oid], most: int) -> list[Sequence[Oid]]:
    """Return objects in groups of at most `most` whose answer has at most `MOST_BYTES`."""
    found: list[list[Oid]] = []
    left = 0
    for one in oids:
        size = answer_bytes(one)
        if not found or len(found[-1]) == most or size > left:
            found.append([])
            left = MOST_BYTES
        found[-1].append(one)
        left -= size
    return list(found)


def answer_bytes(oid: Oid) -> int:
    """Return about how many bytes an object and its value take in an answer."""
    arcs = [int(arc) for arc in oid.oid.split(".")]
    # The first two share a byte; of the others seven bits are in each.
    name = 1 + sum(max(1, -(-arc.bit_length() // 7)) for arc in arcs[2:])
    value = _TEXT_BYTES if oid.type == "OctetString" else _NUMBER_BYTES
    return _HEADER_BYTES + name + 2 + value
