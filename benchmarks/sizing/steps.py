"""The steps of an hour, each as its task in Airflow does it: the functions that the commands call.

In: a lake and an hour. Out: the hour's derived tables.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.scale.measure import SITE
from benchmarks.sizing.needs import CHECK
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.compaction import compact
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.scheduled.checking import check_run
from tokenergy_transforms.batching import aggregate_nodes, batches_of
from tokenergy_transforms.loadprofile.groups import KINDS
from tokenergy_transforms.loadprofile.profile import profile_hour

_WINDOW_US = 1_000_000


def aggregated(lake: Lake, hour_us: int) -> None:
    """Readings to segments of 1 s."""
    for nodes in batches_of(lake, hour_us):
        aggregate_nodes(lake, hour_us, nodes, _WINDOW_US, "cpu", lambda _: None)


def indexed(lake: Lake, hour_us: int) -> None:
    """Segments and tokens to the books."""
    index(lake, SITE, [hour_us], lambda _: None)


def checked(lake: Lake, hour_us: int) -> None:
    """The checks of the hour and of its jobs.

    Raises:
        AssertionError: one of them failed.
    """
    breaches = [found.name for found in check_run(lake, hour_us) if found.breach]
    if breaches:
        raise AssertionError(f"checks of the emulated fleet failed: {', '.join(breaches)}")


def profiled(lake: Lake, hour_us: int) -> None:
    """Load profiles and spectra."""
    profile_hour(lake, hour_us, KINDS, device="cpu")


def compacted(lake: Lake, hour_us: int) -> None:
    """Small raw files to one of each table and node; nobody reads, so nothing has to wait."""
    compact(lake, hour_us + HOUR_US, 0)


COMPACT = "compact"

STEPS: dict[str, Callable[[Lake, int], None]] = {
    "aggregate": aggregated,
    "index": indexed,
    CHECK: checked,
    "load_profile": profiled,
    COMPACT: compacted,
}
"""In the order in which they need each other."""

DERIVING = tuple(name for name in STEPS if name != COMPACT)
"""Those of every hour; the other one is done once a day."""

BEFORE = ("aggregate", "index", "load_profile")
"""What the hour before needs. Its checks would fail: its jobs go on in an hour without books."""
