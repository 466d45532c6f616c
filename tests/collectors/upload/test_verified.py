"""What is remembered as uploaded: over restarts, by several at once, and never of another file."""

import os

import pytest

from tests.support.uploading import fill
from tokenergy_collectors.lake.sealed import sealed_files
from tokenergy_collectors.upload.verified import Verified


@pytest.fixture
def lake(tmp_path):
    return fill(tmp_path)


def known(lake, to="s3://b"):
    verified = Verified(lake.root, "n1", to)
    verified.load()
    return verified


def test_it_is_remembered_for_each_store_of_its_own(lake):
    first, second, *rest = sealed_files(lake.root, "n1")
    verified = known(lake)
    verified.add(first)
    verified.add(second)
    verified.discard(second)
    assert first in verified
    assert second not in verified
    again = known(lake)
    assert first in again
    assert not any(file in again for file in (second, *rest))
    assert first not in known(lake, "s3://other")
    verified.add(second)
    assert second in known(lake)


def test_a_file_that_changed_or_went_is_not_known(lake):
    files = sealed_files(lake.root, "n1")
    verified = known(lake)
    for file in files:
        verified.add(file)
    os.utime(files[0].path, (1, 1))
    files[1].path.unlink()
    again = known(lake)
    assert sealed_files(lake.root, "n1")[0] not in again
    assert len(again) == len(files) - 2
    assert len(again.path.read_text().splitlines()) == len(files) - 2


def test_what_another_process_noted_is_kept(lake):
    files = sealed_files(lake.root, "n1")
    mine, other = known(lake), known(lake)
    mine.add(files[0])
    other.add(files[1])
    known(lake)  # writes the list anew
    mine.add(files[2])
    assert len(known(lake)) == 3


def test_a_list_that_is_rubbish_is_none(lake):
    verified = known(lake)
    verified.add(sealed_files(lake.root, "n1")[0])
    with verified.path.open("ab") as file:
        file.write(b"\xff\xfe rubbish\n- \n\n5 5\nx")
    assert len(known(lake)) == 1


def test_a_place_that_cannot_be_written_costs_only_the_memory(lake):
    (lake.root / ".upload").write_text("no folder")
    verified = known(lake)
    file = sealed_files(lake.root, "n1")[0]
    verified.add(file)
    assert file in verified
    assert file not in known(lake)
