from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.store import Store
from tokenergy_collectors.importers.prometheus.client import Client, Door
from tokenergy_collectors.importers.prometheus.plan import order
from tokenergy_collectors.importers.prometheus.run import import_prometheus
from tokenergy_collectors.importers.result import ImportResult
from tokenergy_collectors.lake import Lake

NOW_US = 1_800_000_000_000_000

Run = Callable[..., ImportResult]


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as found:
        yield found


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", create=True)


@pytest.fixture
def run(store: Store, lake: Lake) -> Run:
    """Import from the store; waits between two tries are left out."""

    def run(start: str = "2026-01-15T08:00:00Z", end: str = "2026-01-15T09:00:00Z",
            into: Lake | None = None, **options: Any) -> ImportResult:  # fmt: skip
        door = options.pop("door", None) or Door(store.url)
        options.setdefault("chunk_us", 3_600_000_000)
        what = order(door, start, end, settle_us=1, now_us=NOW_US, **options)
        return import_prometheus(into or lake, what, Client(door, sleep_s=lambda _: None))

    return run
