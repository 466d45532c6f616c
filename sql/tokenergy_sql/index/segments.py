"""Segments that are missing or older than their readings and job edges, made again.

In: a lake, hours. Out: files of `segment`, and which nodes and hours they are of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.paths import partition
from tokenergy_collectors.lake.quarantine import QUARANTINE, set_aside
from tokenergy_transforms.provenance import Compared, compare, told_by

if TYPE_CHECKING:
    from tokenergy_transforms.aggregate import Aggregated
    from tokenergy_transforms.choice import Device

DEFAULT_WINDOW_US = 1_000_000
"""Window of segments that nobody chose a window for."""


@dataclass(frozen=True, slots=True)
class Outdated:
    """What was done about outdated segments.

    Attributes:
        done: what was made again.
        waiting: (hour, node) pairs with newer readings whose earlier ones are gone. To make them
            again would drop what was booked of the earlier ones.
    """

    done: list[Aggregated]
    waiting: list[tuple[int, str]]


def aggregate_outdated(
    lake: Lake,
    hours: list[int] | None,
    window_us: int = DEFAULT_WINDOW_US,
    device: Device = "cpu",
    progress: Callable[[str], None] = lambda _: None,
) -> Outdated:
    """Aggregate the nodes and hours whose segments are missing or outdated.

    Args:
        lake: the lake.
        hours: starts of the hours to look at, microseconds UTC; all if None.
        window_us: window of nodes and hours without segments; others keep theirs.
        device: back end, see `choice.Integrator`.
        progress: called with each node and hour that was aggregated.

    Raises:
        UserError: CUDA was asked for and cannot be used, or a file cannot be reached or written.
    """
    from tokenergy_transforms.aggregate import Aggregator, worklist
    from tokenergy_transforms.inventory import read_inventory

    inventory = read_inventory(lake)
    by_window: dict[int, list[tuple[int, str]]] = {}
    waiting: list[tuple[int, str]] = []
    for one in compare(lake, inventory, worklist(lake, hours, inventory)):
        if one.outdated:
            by_window.setdefault(_window_us(lake, one) or window_us, []).append(
                (one.hour_us, one.node)
            )
        elif one.waiting:
            waiting.append((one.hour_us, one.node))

    def report(hour_us: int, node: str, _share: float) -> None:
        progress(f"aggregate {node} {partition(hour_us)}")

    done: list[Aggregated] = []
    for window, work in sorted(by_window.items()):
        done += Aggregator(lake, window, device, inventory).run(work, report)
    return Outdated(done, waiting)


def _window_us(lake: Lake, one: Compared) -> int | None:
    """Return the window that segments had; None if they are new, or do not say."""
    if one.before is not None:
        return one.before.window_us or None
    path = lake.derived("segment", one.hour_us, one.node)
    if path.name not in set_aside(lake.root, path.parent):
        return None
    # If a damaged file does not say it any more, it is that of the segments beside it: of the same
    # node, then of other nodes.
    copies = (lake.root / QUARANTINE / path.relative_to(lake.root)).parent.glob(f"{path.name}*")
    hours = (one.hour_us - HOUR_US, one.hour_us + HOUR_US)
    beside = (lake.derived("segment", hour_us, one.node) for hour_us in hours)
    told = map(told_by, (*sorted(copies), *beside, *lake.files("segment", [one.hour_us])))
    return next((made.window_us for made in told if made and made.window_us), None)
