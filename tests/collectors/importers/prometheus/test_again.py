"""Imported twice, nothing changes; stopped anywhere and continued, the same bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.collectors.importers.prometheus.boards import ENERGY, OF, POWER, T0, board, every, points
from tests.collectors.importers.prometheus.conftest import Run
from tests.collectors.importers.prometheus.test_jobs import POD
from tests.collectors.importers.prometheus.test_tokens import vllm
from tests.support.store import Store
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.prometheus import record as record_module
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake import lake as lake_module

FIVE = 300_000_000


class Stopped(BaseException):
    """A process that is killed runs no handler."""


def files(lake: Lake) -> dict[str, bytes]:
    paths = sorted(path for path in lake.root.rglob("*") if path.is_file())
    return {str(path.relative_to(lake.root)): path.read_bytes() for path in paths}


@pytest.fixture
def scraped(store: Store) -> Store:
    """Half an hour of a board with two jobs, and of a server whose counter restarts."""
    board(store, every(15, 1, 500))
    board(store, every(15, 511, 1100), **POD)
    board(store, every(15, 1111, 1790), **{**POD, "pod": "other-0"})
    vllm(store, every(15, 4, 700))
    store.add("vllm:generation_tokens_total", points(every(15, 709, 1790), -8_000, 12),
              instance="10.0.0.9:8000", namespace="ml", pod="other-0")  # fmt: skip
    return store


END = "2026-01-15T08:30:00Z"


def test_the_second_time_asks_nothing_and_changes_nothing(
    scraped: Store, run: Run, lake: Lake
) -> None:
    assert run(end=END, chunk_us=FIVE).written
    before, asked = files(lake), len(scraped.asked)
    assert not run(end=END, chunk_us=FIVE).written
    assert files(lake) == before
    assert len(scraped.asked) == asked


def test_without_its_record_an_import_changes_nothing_either(
    scraped: Store, run: Run, lake: Lake
) -> None:
    run(end=END, chunk_us=FIVE)
    before = files(lake)
    (record,) = (lake.root / ".import").glob("*.json")
    record.unlink()
    assert not run(end=END, chunk_us=FIVE).written
    assert files(lake) == before


def stops(patch: pytest.MonkeyPatch, after: int) -> None:
    """Let the process end before it writes its next file, or its record."""
    left = [after]

    def counted(what: Callable[..., object]) -> Callable[..., object]:
        def write(*args: object, **kwargs: object) -> object:
            if not left[0]:
                raise Stopped
            left[0] -= 1
            return what(*args, **kwargs)

        return write

    patch.setattr(lake_module, "write_parquet", counted(lake_module.write_parquet))
    save = record_module.Record.save
    patch.setattr(record_module.Record, "save", counted(save))


def attempts() -> Iterator[int]:
    yield from range(40)


def test_stopped_before_any_write_it_continues_with_the_same_bytes(
    scraped: Store, run: Run, lake: Lake, tmp_path: Path
) -> None:
    run(end=END, chunk_us=FIVE)
    whole = files(lake)
    stopped = 0
    for after in attempts():
        other = Lake(tmp_path / f"stopped-{after}", create=True)
        with pytest.MonkeyPatch.context() as patch:
            stops(patch, after)
            try:
                run(end=END, chunk_us=FIVE, into=other)
            except Stopped:
                stopped += 1
        run(end=END, chunk_us=FIVE, into=other)
        assert files(other) == whole, after
    # It was stopped at every write of the whole import, and let through at last.
    assert len(whole) < stopped < 40


def test_a_hole_before_what_is_done_is_filled(scraped: Store, run: Run, lake: Lake) -> None:
    run(start="2026-01-15T08:10:00Z", end="2026-01-15T08:20:00Z", chunk_us=FIVE)
    count = len(scraped.asked)
    run(end=END, chunk_us=FIVE)
    spans = {query.rpartition("[")[2] for query in scraped.asked[count:]}
    # Chunks of five minutes, and three minutes before each of the two parts.
    assert spans == {"301s]", "181s]"}
    stamps = [r["ts_us"] for r in lake.read("power").to_pylist()]
    assert len(stamps) == len(set(stamps)) == 120
    (record,) = (lake.root / ".import").glob("*.json")
    assert record.stat().st_mode & 0o777 == 0o640
    assert json.loads(record.read_text())["done"] == [[T0 * 10**6, (T0 + 1800) * 10**6]]


def test_a_damaged_record_only_costs_time(scraped: Store, run: Run, lake: Lake) -> None:
    run(end=END, chunk_us=FIVE)
    before = files(lake)
    (record,) = (lake.root / ".import").glob("*.json")
    record.write_text("{")
    assert not run(end=END, chunk_us=FIVE).written
    assert files(lake) == before


def test_other_ways_of_reading_have_records_of_their_own(
    scraped: Store, run: Run, lake: Lake
) -> None:
    run(end=END, chunk_us=FIVE)
    assert run(end=END, chunk_us=FIVE, job_labels="app").rows["power"] == 120


def test_again_reads_what_was_imported_and_writes_what_is_new(
    scraped: Store, run: Run, lake: Lake
) -> None:
    run(end=END, chunk_us=FIVE)
    scraped.add("DCGM_FI_DEV_GPU_UTIL", points(every(15, 1, 1790), 50), **OF)
    before = files(lake)
    assert not run(end=END, chunk_us=FIVE).written
    result = run(
        start="2026-01-15T08:10:00Z", end="2026-01-15T08:20:00Z", chunk_us=FIVE, again=True
    )
    assert result.written == {"state": 40}
    # What was done before is not forgotten.
    assert not run(end=END, chunk_us=FIVE).written
    kept = {name: text for name, text in before.items() if name.endswith(".parquet")}
    assert kept.items() <= files(lake).items()


def test_a_page_that_repeats_is_none_at_the_start_of_an_import_either(
    store: Store, run: Run, lake: Lake
) -> None:
    stamps = every(15, 0, 1785)
    store.add(POWER, [(T0 + at, 400 + at // 30) for at in stamps], **OF)
    store.add(ENERGY, [(T0 + at, 1e9 + at // 30 * 12e6) for at in stamps], **OF)
    run(start="2026-01-15T08:10:15Z", end=END)
    first = lake.read("power").to_pylist()[0]
    assert first["ts_us"] // 1_000_000 - T0 == 630


def test_a_tail_without_scrapes_is_no_error(scraped: Store, run: Run) -> None:
    run(end=END)
    assert not run(end="2026-01-15T08:45:00Z").written


def test_two_at_once_are_refused(scraped: Store, run: Run, lake: Lake) -> None:
    def second(path: str, _of: object) -> None:
        if "query" in path:
            scraped.odd = lambda _path, _of: None
            with pytest.raises(UserError, match=r"another import from .* is running"):
                run(end=END)
            refused.append(path)

    refused: list[str] = []
    scraped.odd = second
    assert run(end=END).written
    assert len(refused) == 1
