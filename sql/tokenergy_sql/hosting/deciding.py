"""Which figure of a host counts: measured, else modelled, else declared, else none.

What the processors count themselves is part of the host, so a host that draws less than them is
refused, whatever says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tokenergy_sql.hosting.cpu import Cpu
from tokenergy_sql.hosting.host import Boards, Host
from tokenergy_sql.hosting.measured import Input, measured
from tokenergy_sql.hosting.modelled import Model, modelled

DOUBTS = {
    "meter_in_part": "its meters and all its boards are known together for too little of the time",
    "below_boards": "its meters counted less than its boards drew",
    "measured_below_cpu": "its meters leave less for the host than its processors counted",
    "no_accuracy": "no accuracy is declared of one of its meters, so that there is no upper bound",
    "boards_in_part": "too little is known of its boards for a model",
    "no_cpu": "too little is known of its processors for its model",
    "outside_model": "its load is not one that its model was learned from",
    "modelled_below_cpu": "its model says less than its processors counted",
    "declared_below_cpu": "its processors counted more than is declared of the whole host",
}
"""What a code in `host_hour.doubts` means."""


class Shown(NamedTuple):
    """What a node showed in an hour, and what is declared of it.

    Attributes:
        watched_us: the time that its host is of.
        boards: what its boards drew.
        input: of its meters; None: it has none.
        cpu: of its processors; None: they are not read.
        model: that holds for it, if any.
        declared_mw: the declared power of the host, if any.
    """

    watched_us: int
    boards: Boards
    input: Input | None
    cpu: Cpu | None
    model: Model | None
    declared_mw: int | None


def host_of(shown: Shown) -> Host:
    """Return the energy of a node's host."""
    surely_nj = 0 if shown.cpu is None else shown.cpu.surely_nj
    doubts: list[str] = []
    for found in _attempts(shown):
        if isinstance(found, str):
            doubts.append(found)
        elif found.nj is None or found.nj < surely_nj:
            doubts.append(f"{found.method}_below_cpu")
        else:
            least_nj = max(found.low_nj or 0, surely_nj)
            return found._replace(low_nj=least_nj, doubts=(*doubts, *found.doubts))
    return _declared(shown, surely_nj, doubts)


def _attempts(shown: Shown) -> Iterator[Host | str]:
    if shown.input is not None:
        yield measured(shown.input, shown.watched_us)
    if shown.model is not None:
        yield modelled(shown.model, shown.cpu, shown.boards, shown.watched_us)


def _declared(shown: Shown, surely_nj: int, doubts: list[str]) -> Host:
    if shown.declared_mw is None:
        return Host("none", None, None if shown.cpu is None else surely_nj, None, 0, (*doubts,))
    nj = shown.declared_mw * shown.watched_us
    if nj < surely_nj:
        # The declaration is refuted: what is known is a least, and no most.
        doubts.append("declared_below_cpu")
        return Host("declared", surely_nj, surely_nj, None, shown.watched_us, (*doubts,))
    return Host("declared", nj, nj, nj, shown.watched_us, (*doubts,))
