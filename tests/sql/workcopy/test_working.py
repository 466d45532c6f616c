"""A lake in a store gets the bytes of one in a folder, and is never half published."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import late
from tests.support.stored import StoredLake
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.absent import bucket_of, is_absent
from tokenergy_collectors.lake.quarantine import quarantined
from tokenergy_collectors.objects import bucket as objects
from tokenergy_sql import steps
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.workcopy.room import is_due, limit_bytes, make_room
from tokenergy_sql.workcopy.sweeping import sweep
from tokenergy_sql.workcopy.working import on_lake, url_in

Make = Callable[[], StoredLake]
HOURS = late.HOURS[:2]
"""Those of the lake: see `whole`."""


def books(stored: StoredLake, hours: list[int] | None = None) -> None:
    def derive(root: Path) -> None:
        late.books(Lake(root), hours)

    on_lake(stored.url, derive, hours)


def published(stored: StoredLake) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads(stored.read("books/published.json"))
    return found


def test_books_have_the_bytes_of_a_lake_in_a_folder(raw: StoredLake, whole: Lake) -> None:
    books(raw)
    assert raw.derived() == late.derived(whole)
    assert (
        published(raw)["tables"]
        == json.loads((whole.root / "books/published.json").read_bytes())["tables"]
    )
    assert not on_lake(raw.url, lambda root: [f for f in run_checks(Lake(root)) if f.breach])


def test_hours_one_by_one_from_fresh_copies(raw: StoredLake, whole: Lake, tmp_path: Path) -> None:
    for hour in HOURS:
        books(raw, [hour])
        shutil.rmtree(tmp_path / "work")
    assert raw.derived().items() >= late.derived(whole).items()
    names = {f"{n:06d}" for n in range(1, len(HOURS) + 1)}
    assert {n.split("/")[1] for n in raw.names("revisions") if n.endswith("manifest.json")} == names
    # Each list names one object of each kind, and those before are gone.
    kept = [n for n in raw.names("revisions") if not n.endswith("manifest.json")]
    assert sorted(kept) == sorted(str(published(raw)[key]) for key in ("recorded", "jobs"))


def test_nothing_is_put_where_nothing_has_changed(raw: StoredLake) -> None:
    books(raw)
    before = {
        n: raw.server.fs().info(f"tokenergy/{raw.name}/{n}")["LastModified"] for n in raw.names()
    }
    puts: list[str] = []
    real = objects.Bucket._put

    def noted(self: objects.Bucket, name: str, data: bytes | Path, **more: str) -> str:
        puts.append(name)
        return real(self, name, data, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objects.Bucket, "_put", noted)
        books(raw)
    assert not puts
    assert raw.names() == sorted(before)


def test_only_what_is_read_is_fetched(raw: StoredLake) -> None:
    def aggregate(root: Path) -> list[Path]:
        steps.aggregate_hours(root, [HOURS[0]], ["n1"], "1s", "cpu")
        return [p for p in (root / "power").rglob("*.parquet") if not is_absent(p)]

    fetched = on_lake(raw.url, aggregate, [HOURS[0]])
    # Of the node, the hour and the one after it: its first reading ends the last window.
    assert {(p.name.split("-")[0], p.parent.name) for p in fetched} == {
        ("n1", "hour=08"), ("n1", "hour=09"),
    }  # fmt: skip


def test_another_publishes_meanwhile(raw: StoredLake, whole: Lake) -> None:
    tries = []

    def derive(root: Path) -> None:
        tries.append(root)
        if len(tries) == 1:
            books(raw, HOURS[1:])  # in a copy of its own: this one is taken
        late.books(Lake(root), HOURS[:1])

    on_lake(raw.url, derive)
    assert len(tries) == 2
    assert raw.derived().items() >= late.derived(whole).items()
    assert published(raw)["revision"] == 2


def test_a_task_that_fails_publishes_nothing(raw: StoredLake, whole: Lake) -> None:
    books(raw, HOURS[:1])
    before = raw.derived()

    def fail(root: Path) -> None:
        late.books(Lake(root))
        raise UserError(f"{root}/power: the disk is full")

    with pytest.raises(UserError) as failed:
        on_lake(raw.url, fail)
    assert str(failed.value) == f"{raw.url}/power: the disk is full"
    assert raw.derived() == before
    books(raw)
    assert raw.derived().items() >= late.derived(whole).items()


@pytest.mark.parametrize("last", ["published.json", "manifest.json"])
def test_a_writer_dies_while_it_publishes(
    raw: StoredLake, whole: Lake, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    books(raw, HOURS[:1])
    before = published(raw)
    real = objects.Bucket._put

    def dying(self: objects.Bucket, name: str, data: bytes | Path, **more: str) -> str:
        if name.endswith(last):
            raise KeyboardInterrupt
        return real(self, name, data, **more)

    with monkeypatch.context() as patch:
        patch.setattr(objects.Bucket, "_put", dying)
        with pytest.raises(KeyboardInterrupt):
            books(raw)
    if last == "published.json":
        assert published(raw) == before
    books(raw)
    assert raw.derived().items() >= late.derived(whole).items()
    assert {n.split("/")[1] for n in raw.names("revisions") if n.endswith("manifest.json")} == {
        "000001", "000002",
    }  # fmt: skip
    assert raw.read("revisions/000002/manifest.json")


def test_a_late_file_makes_its_hour_stale(make: Make, whole: Lake, tmp_path: Path) -> None:
    stored = make()
    part = late.fleet(tmp_path / "part", [("n2", HOURS[1])], HOURS).lake
    stored.put(part.root)
    books(stored)
    assert stored.derived().keys() != late.derived(whole).keys()
    stored.put(whole.root, "power")
    books(stored)
    assert stored.derived().items() >= late.derived(whole).items()


def test_a_damaged_raw_file_goes_to_quarantine_in_the_store(
    raw: StoredLake, tmp_path: Path
) -> None:
    name, *_ = [n for n in raw.names("power") if "/n1-" in n and "hour=09" in n]
    raw.server.fs().pipe_file(f"tokenergy/{raw.name}/{name}", b"PAR1 and then nothing")
    books(raw)
    assert name not in raw.names()
    assert f"quarantine/{name}" in raw.names()
    assert any(n.endswith(".reason") for n in raw.names("quarantine"))
    shutil.rmtree(tmp_path / "work")
    assert on_lake(raw.url, lambda root: [row["file"] for row in quarantined(root)]) == [name]


def test_a_damaged_object_of_the_books_is_not_believed(raw: StoredLake, tmp_path: Path) -> None:
    books(raw)
    name = next(n for n in raw.names("books") if "/ledger_hour-" in n)
    raw.server.fs().pipe_file(f"tokenergy/{raw.name}/{name}", raw.read(name)[:-1] + b"x")
    shutil.rmtree(tmp_path / "work")
    with pytest.raises(UserError, match="is damaged") as failed:
        on_lake(raw.url, lambda root: Lake(root).read("ledger_hour"))
    assert str(failed.value).startswith(f"{raw.url}/books/ledger_hour/")


def test_a_lake_that_was_copied_into_the_store_stays_as_it_is(make: Make, whole: Lake) -> None:
    stored = make()
    stored.put(whole.root)
    done = on_lake(stored.url, lambda root: steps.index_hours(root, None, None))
    assert not done.causes
    assert stored.derived() == late.derived(whole)


def test_a_lake_that_was_copied_from_the_store_stays_as_it_is(
    raw: StoredLake, tmp_path: Path
) -> None:
    books(raw)
    raw.server.download(tmp_path / "copy", raw.name)
    for _ in range(2):
        assert not steps.index_hours(tmp_path / "copy", None, None).causes
    done = steps.index_hours(tmp_path / "copy", HOURS[:1], None, rebuild_all=True)
    assert list(done.causes) == HOURS[:1]
    assert done.revision is None  # the same bytes
    assert not steps.index_hours(tmp_path / "copy", None, None).causes


def test_books_of_an_earlier_version_are_refused(make: Make, whole: Lake) -> None:
    stored = make()
    stored.put(whole.root)
    text = json.dumps({"revision": 1, "tables": {"ledger": {"2026-01-15": {"08": ""}}}})
    stored.server.fs().pipe_file(f"tokenergy/{stored.name}/books/published.json", text.encode())
    with pytest.raises(UserError, match="tokenergy migrate"):
        on_lake(stored.url, os.listdir)


def test_there_is_nothing(make: Make) -> None:
    with pytest.raises(UserError, match="no such bucket or prefix, or nothing in it"):
        on_lake(make().url, os.listdir)


def test_what_a_dead_writer_left_in_the_copy_is_not_the_lakes(raw: StoredLake) -> None:
    def leave(root: Path) -> None:
        steps.aggregate_hours(root, None, None, "1s", "cpu")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        on_lake(raw.url, leave)
    assert on_lake(raw.url, lambda root: Lake(root).files("segment")) == []


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("s3://bucket/lake", "s3://bucket/lake"),
        (Path("s3://bucket/lake/"), "s3://bucket/lake"),
        ("/data/lake", None),
        ("lake", None),
        ("C:/lake", None),
    ],
)
def test_urls_are_told_from_paths(given: str | Path, url: str | None) -> None:
    assert url_in(given) == url


def there(root: Path, tables: list[str]) -> list[Path]:
    """Return the files of tables that the copy holds."""
    return [p for t in tables for p in (root / t).rglob("*.parquet") if not is_absent(p)]


def test_bytes_above_the_limit_are_given_up_and_fetched_again(
    raw: StoredLake, monkeypatch: pytest.MonkeyPatch, whole: Lake
) -> None:
    books(raw)
    (root,) = {on_lake(raw.url, lambda root: root)}
    tables = [*late.RAW, "segment", "load_profile", "load_spectrum"]
    assert make_room(root, tables) == 0
    held = sum(path.stat().st_size for path in there(root, tables))
    monkeypatch.setenv("TOKENERGY_WORK_GB", "0.000001")
    assert not is_due(root)  # was looked at just now
    assert is_due(root, time.time() + 100_000)
    freed = make_room(root, tables)
    left = sum(path.stat().st_size for path in there(root, tables))
    assert freed == held - left > 0.95 * held
    assert left <= 1_000
    assert not on_lake(raw.url, lambda root: steps.index_hours(root, None, None)).causes
    rows = on_lake(raw.url, lambda root: Lake(root).read("power").num_rows)
    assert rows == whole.read("power").num_rows


def test_files_of_the_books_that_nobody_names_are_swept(raw: StoredLake) -> None:
    books(raw)
    before = raw.derived()
    stray = "books/ledger/date=2026-01-15/hour=08/ledger-0123456789abcdef.parquet"
    raw.server.fs().pipe_file(f"tokenergy/{raw.name}/{stray}", b"of a writer that died")
    (root,) = {on_lake(raw.url, lambda root: root)}
    bucket = bucket_of(root)
    assert sweep(bucket, root) == []  # it may still be published
    assert sweep(bucket, root, left_s=0) == [stray]
    assert raw.derived() == before


@pytest.mark.parametrize("text", ["0", "-1", "much", ""])
def test_the_limit_is_a_number(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TOKENERGY_WORK_GB", text)
    with pytest.raises(UserError, match="expected a number of gigabytes above 0"):
        limit_bytes()
