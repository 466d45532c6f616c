"""Who held which device: the latest record counts, devices are named by their UUID."""

import pytest

from tests.support.lakes import T0, LakeBuilder, S
from tokenergy_collectors.lake.allocations import allocations, device_index, resolve


@pytest.fixture
def built(tmp_path):
    builder = LakeBuilder(tmp_path)
    builder.device("GPU-a", index=0)
    builder.device("GPU-b", index=1)
    return builder


def told(builder, *names):
    return [tuple(row[n] for n in names) for row in allocations(builder.lake).to_pylist()]


def test_the_latest_record_counts_and_a_correction_can_be_taken_back(built):
    for number, name in enumerate("ABA"):
        built.job("j", "GPU-a", T0, T0 + S, name=name, recorded_us=T0 + number)
    assert told(built, "name", "recorded_us") == [("A", T0 + 2)]


def test_of_two_records_at_once_the_ended_one_counts(built):
    built.job("j", "GPU-a", T0, None)
    built.job("j", "GPU-a", T0, T0 + S)
    assert told(built, "end_us") == [(T0 + S,)]


def test_an_index_is_resolved_and_corrects_the_same_allocation(built):
    built.job("j", "01", T0, None, recorded_us=T0)
    built.job("j", "GPU-b", T0, T0 + S, recorded_us=T0 + 1)
    built.job("k", "7", T0, None)
    built.job("l", "1", T0, None, node="elsewhere")
    assert told(built, "job_id", "device_id", "end_us") == [
        ("j", "GPU-b", T0 + S),
        ("l", "elsewhere/1", None),
        ("k", "n1/7", None),
    ]


def test_the_device_seen_last_owns_the_index(built):
    built.device("GPU-new", index=0, ts_us=T0 + S)
    index = device_index(built.lake)
    assert index["n1", "0"] == "GPU-new"
    assert resolve(index, "n1", "GPU-a") == "GPU-a"
    assert resolve(index, "n1", "²") == "²"
