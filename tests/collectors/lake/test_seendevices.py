"""Sightings that say nothing new are left out, and whoever asks gets the same answers."""

import random

import pyarrow as pa
import pytest

from tests.support.lakes import HOUR_US, T0, S
from tokenergy_collectors.lake.contract import DEVICE
from tokenergy_collectors.lake.devicehistory import DeviceHistory, Sighting
from tokenergy_collectors.lake.nodenames import short_name
from tokenergy_collectors.lake.seendevices import COLUMNS, SeenDevices

NODES = ["n1", "n1.a.org", "n2", "n3"]
BOARDS = ["GPU-aaaa1", "GPU-aaaa2", "GPU-bbbb", "GPU-BBBB", "GPU-cccc"]
INSTANCES = ["MIG-1", "MIG-2"]
TEXTS = ["0", "1", "nvidia0", "nvidia1", "00:01.0", "0001:00:01.0", "aaaa", "bbbb", "GPU-none"]


def of(sightings):
    schema = pa.schema([DEVICE.schema().field(name) for name in COLUMNS])
    rows = [{name: getattr(one, name) for name in COLUMNS} for one in sightings]
    return SeenDevices(pa.Table.from_pylist(rows, schema=schema))


def sightings(rng):
    """Boards and instances that daemons record at every start, and some that change."""
    usual = {}
    for number, board in enumerate(BOARDS):
        more = rng.choice([{}, {"minor": number}, {"pci": f"000{number % 2}:00:0{number}.0"}])
        usual[board] = {"node": rng.choice(NODES), "index": number // 2, **more}
    for instance in INSTANCES:
        usual[instance] = {"node": rng.choice(NODES), "mig_parent": rng.choice(BOARDS)}
    found = []
    for _ in range(rng.choice([4, 12, 24])):
        device_id = rng.choice([*BOARDS, *BOARDS, *INSTANCES])
        facts = {**usual[device_id]}
        if rng.random() < 0.15:
            facts["node"] = rng.choice(NODES)
        if rng.random() < 0.15:
            facts |= {"index": rng.choice([None, 0, 1]), "minor": rng.choice([None, 0])}
        at_us = T0 + rng.randrange(8) * HOUR_US + rng.choice([0, 0, S, 15 * S])
        found.append(Sighting(at_us, device_id, **facts))
    return found


def answers(history, at_us, nodes):
    """What a history says of all names as of an instant."""
    for text in [*TEXTS, *BOARDS, *INSTANCES]:
        device_id, remark = history.find(nodes, text, at_us)
        seen = None if device_id is None else history.as_of(device_id, at_us)
        if seen is None:
            yield text, remark
            continue
        instance = seen.mig_parent is not None
        yield text, remark, seen.device_id, seen.mig_parent, history.node_of(seen, at_us)
        yield history.siblings(seen) if instance else None
        # Where a board goes after that, as allocations follow it.
        for later in history.of(seen.mig_parent or seen.device_id):
            if later.ts_us > at_us:
                yield later.node


def moves(found):
    """Answers without nodes that only repeat the one before."""
    return [one for place, one in enumerate(found) if not place or one != found[place - 1]]


@pytest.mark.parametrize("seed", range(400))
def test_the_answers_are_those_of_all_sightings(seed):
    rng = random.Random(seed)
    every = sightings(rng)
    seen = of(every)
    whole = DeviceHistory(every)
    few = DeviceHistory(seen.around([short_name(node) for node in NODES], ()))
    assert whole.since_us() == few.since_us() == seen.since_us
    for _ in range(12):
        nodes = rng.choice([["n1", "n1.a.org"], ["n1"], ["n2"], ["n3"], []])
        at_us = T0 + rng.randrange(-1, 9) * HOUR_US + rng.choice([0, S, 20 * S])
        # A board that stays where it is says so once, or not at all.
        wanted = [moves([*answers(history, at_us, nodes)]) for history in (whole, few)]
        places = [[one for one in found if not isinstance(one, str)] for found in wanted]
        assert places[0] == places[1]


@pytest.mark.parametrize("seed", range(100))
def test_what_is_around_a_node_is_enough_for_it(seed):
    rng = random.Random(seed)
    every = sightings(rng)
    seen, whole = of(every), DeviceHistory(every)
    for nodes in (["n1", "n1.a.org"], ["n2"], ["n3"]):
        few = DeviceHistory(seen.around({short_name(node) for node in nodes}, ()))
        for text in {*TEXTS} - {"bbbb"}:  # the whole UUID of a board, which may be anywhere
            for hour in range(8):
                at_us = T0 + hour * HOUR_US
                found = whole.find(nodes, text, at_us)
                if found.device_id is None or found.device_id in few._of_device:
                    assert few.find(nodes, text, at_us) == found


def test_a_year_of_starts_is_one_sighting():
    days = [Sighting(T0 + day * 24 * HOUR_US, "GPU-a", "n1", 0) for day in range(365)]
    assert of(days).of_device == {"GPU-a": days[:1]}
    assert len(of([*days, Sighting(T0, "GPU-b", "n1", 0)]).of_device["GPU-a"]) == 365
    assert len(of([*days, Sighting(T0, "MIG-1", "n2", None, mig_parent="GPU-a")]).of_device) == 2


def test_no_devices():
    assert of([]).of_device == {}
    assert of([]).around(["n1"], ["GPU-a"]) == []
