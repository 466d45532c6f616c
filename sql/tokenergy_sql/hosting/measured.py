"""A host whose node has a meter: what came into the node, less what its boards drew.

Over the time K for which the node's meters and all its boards are known,

    host(K) = meters(K) - boards(K)

from the least of the meters less the most of the boards, to the reverse. Where K is less than the
watched time W, but at least `LEAST_PPM` of it,

    host = floor(host(K) W / K),   host_low = host_low(K),
    host_high = host_high(K) + ceil(meters_high(K) (W - K) / K)

so in the rest of the time the host may have drawn nothing, or all that the node usually draws.
"""

from __future__ import annotations

from typing import NamedTuple

from tokenergy_sql.hosting.host import Boards, Host, ceil_div, is_enough
from tokenergy_sql.metering.amount import Amount


class Input(NamedTuple):
    """What came into a node while it is known.

    Attributes:
        meters: what its meters counted; bounds are None where no accuracy is declared.
        boards: of the same time.
        known_us: that time, within the watched time of the node.
        ids: of the meters.
    """

    meters: Amount
    boards: Boards
    known_us: int
    ids: tuple[str, ...]


def measured(input_: Input, watched_us: int) -> Host | str:
    """Return the energy of a host, or why it cannot be had from the node's meters."""
    known_us, meters, boards = input_.known_us, input_.meters, input_.boards
    if not is_enough(known_us, watched_us):
        return "meter_in_part"
    own_nj = meters.value - boards.nj
    if own_nj < 0:
        return "below_boards"
    rest_us = watched_us - known_us
    low_nj, high_nj = 0, None
    if meters.low is not None and meters.high is not None:
        low_nj = max(0, meters.low - boards.high_nj)
        high_nj = meters.high - boards.low_nj + ceil_div(meters.high * rest_us, known_us)
    doubts = ("no_accuracy",) if high_nj is None else ()
    return Host("measured", own_nj * watched_us // known_us, low_nj, high_nj, known_us, doubts)
