"""MIG: boards and their instances, behind the unmodified binding and through the daemon's parts."""

import ctypes
import threading

import pynvml
import pytest
from pydantic import ValidationError

from tests.support.clocks import PlannedClock
from tests.support.emulated import SMALL, Walk, small_profile
from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.daemon.daemon import Daemon
from tokenergy_collectors.emulate.profile.profile import Profile
from tokenergy_collectors.emulate.run.node import EmulatedNode
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.nvml import mig
from tokenergy_collectors.sources.nvml.boards import close_boards, open_boards
from tokenergy_collectors.sources.nvml.calls import or_none
from tokenergy_collectors.sources.nvml.devices import DeviceWatch
from tokenergy_collectors.sources.nvml.settings import GpuKeys

S = 1_000_000
T0 = 1_768_464_000_000_000


def mig_profile(**cut):
    """The small profile with boards of node n1 cut up, by index."""
    import tomllib

    values = tomllib.loads(SMALL)
    values["nodes"]["n1"]["mig"] = {str(index[1:]): found for index, found in cut.items()}
    return Profile.model_validate(values)


@pytest.fixture
def walk():
    walk = Walk(mig_profile(b0=["3g.40gb", "4g.40gb"], b3=[]))
    with walk.node:
        pynvml.nvmlInit()
        yield walk
        pynvml.nvmlShutdown()


def code_of(call, *arguments):
    with pytest.raises(pynvml.NVMLError) as caught:
        call(*arguments)
    return caught.value.value


def test_instances_have_names_and_no_power(walk):
    board = pynvml.nvmlDeviceGetHandleByIndex(0)
    assert pynvml.nvmlDeviceGetMigMode(board) == [1, 1]
    assert pynvml.nvmlDeviceGetMaxMigDeviceCount(board) == 7
    assert code_of(pynvml.nvmlDeviceGetUtilizationRates, board) == pynvml.NVML_ERROR_NOT_SUPPORTED
    one, two = (pynvml.nvmlDeviceGetMigDeviceHandleByIndex(board, place) for place in (0, 1))
    for place in (2, 6, 7, 99):
        code = code_of(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, board, place)
        assert code == pynvml.NVML_ERROR_NOT_FOUND
    uuid = pynvml.nvmlDeviceGetUUID(one)
    assert uuid.startswith("MIG-")
    assert uuid != pynvml.nvmlDeviceGetUUID(two)
    assert pynvml.nvmlDeviceGetName(two) == "NVIDIA H100 80GB HBM3 MIG 4g.40gb"
    assert pynvml.nvmlDeviceGetAttributes(one).computeInstanceSliceCount == 3
    assert pynvml.nvmlDeviceGetAttributes(two).memorySizeMB == 40 * 1024
    assert pynvml.nvmlDeviceIsMigDeviceHandle(one).value == 1
    assert pynvml.nvmlDeviceIsMigDeviceHandle(board).value == 0
    parent = pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(two)
    assert pynvml.nvmlDeviceGetUUID(parent) == walk.node.boards[0].identity.uuid
    assert pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByUUID(uuid)) == uuid
    assert pynvml.nvmlDeviceGetComputeRunningProcesses(one) == []
    missing = pynvml.NVML_ERROR_NOT_SUPPORTED
    for call in (
        pynvml.nvmlDeviceGetPowerUsage,
        pynvml.nvmlDeviceGetTotalEnergyConsumption,
        pynvml.nvmlDeviceGetEnforcedPowerLimit,
        pynvml.nvmlDeviceGetUtilizationRates,
        pynvml.nvmlDeviceGetIndex,
        pynvml.nvmlDeviceGetMigMode,
    ):
        assert code_of(call, one) == missing
    values = pynvml.nvmlDeviceGetFieldValues(one, [186, 83])
    assert [value.nvmlReturn for value in values] == [missing] * 2


def test_an_instance_is_lost_with_its_board(walk):
    board = pynvml.nvmlDeviceGetHandleByIndex(0)
    one = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(board, 0)
    walk.node.fail(0, pynvml.NVML_ERROR_GPU_IS_LOST)
    assert code_of(pynvml.nvmlDeviceGetUUID, one) == pynvml.NVML_ERROR_GPU_IS_LOST
    walk.node.fail(0, None)
    assert pynvml.nvmlDeviceGetUUID(one)


@pytest.mark.parametrize(
    ("cut", "words"),
    [
        ({"b0": ["3g"]}, "mig.0: '3g': expected a MIG profile such as '3g.40gb'"),
        ({"b0": ["8g.80gb"]}, "expected a MIG profile"),
        ({"b0": ["4g.40gb", "4g.40gb"]}, "mig.0: 8 slices; allowed: 7 in all"),
        ({"b4": ["1g.10gb"]}, "mig.4: allowed: 0 to 3"),
        ({"bx": ["1g.10gb"]}, "mig.x: allowed: 0 to 3"),
    ],
)
def test_a_profile_that_cannot_be_is_refused(cut, words):
    with pytest.raises(ValidationError) as caught:
        mig_profile(**cut)
    assert words in str(caught.value)


def test_boards_know_their_instances(walk):
    boards, problems = open_boards()
    assert problems == []
    assert len(boards) == 4
    assert [len(board.instances) for board in boards] == [2, 0, 0, 0]
    assert [one.share_ppm for one in boards[0].instances] == [428_571, 571_429]
    walk.to(20 * S)
    board = boards[0]
    emulated = walk.node.boards[0]
    assert board.read(energy=True)[0] == emulated.power_instant_mw(walk.node.now_us())
    assert board.state()["sm_util"] is None
    assert board.state()["temp_c"] is not None
    assert list(board.processes_by_device()) == [
        board.device_id, *(one.device_id for one in board.instances)
    ]  # fmt: skip


def address(handle):
    return ctypes.cast(handle, ctypes.c_void_p).value


def fake_nvml(monkeypatch, **calls):
    for name, call in calls.items():
        monkeypatch.setattr(pynvml, name, call)


class _Answer:
    def __init__(self, **values):
        self.__dict__.update(values)


@pytest.mark.parametrize(
    ("attributes", "share_ppm"),
    [
        (_Answer(computeInstanceSliceCount=2, memorySizeMB=0), 500_000),
        (_Answer(computeInstanceSliceCount=0, memorySizeMB=6 << 10), 250_000),
        (_Answer(computeInstanceSliceCount=0, memorySizeMB=0), None),
        (_Answer(computeInstanceSliceCount=9, memorySizeMB=0), None),
        (None, None),
    ],
)
def test_a_share_is_by_slices_or_else_by_memory(walk, monkeypatch, attributes, share_ppm):
    """A board of 4 slices and 24 GiB, as an A30."""

    def profile_info(board, profile):
        if profile != pynvml.NVML_GPU_INSTANCE_PROFILE_4_SLICE:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return _Answer(sliceCount=4)

    def attributes_of(handle):
        if attributes is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return attributes

    fake_nvml(
        monkeypatch,
        nvmlDeviceGetGpuInstanceProfileInfo=profile_info,
        nvmlDeviceGetAttributes=attributes_of,
        nvmlDeviceGetMemoryInfo=lambda board: _Answer(total=24 << 30),
    )
    found = mig.instances_of(pynvml.nvmlDeviceGetHandleByIndex(0), or_none)
    assert [one.share_ppm for one in found] == [share_ppm] * 2


@pytest.mark.parametrize("version_1_answers", [True, False])
@pytest.mark.parametrize("mib", [5_952, 11_968, 24_576])
def test_the_slices_of_a_board_are_asked_and_never_assumed(
    walk, monkeypatch, version_1_answers, mib
):
    """An A30, 4 slices and 24 GiB, under a driver that lacks the second version of the call."""
    slices, four = round(4 * mib / 24_576), pynvml.NVML_GPU_INSTANCE_PROFILE_4_SLICE

    def profile_info(board, profile, version=2):
        if version_1_answers and version == 1 and profile == four:
            return _Answer(sliceCount=4)
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    fake_nvml(
        monkeypatch,
        nvmlDeviceGetGpuInstanceProfileInfo=profile_info,
        nvmlDeviceGetAttributes=lambda handle: _Answer(
            computeInstanceSliceCount=slices, memorySizeMB=mib
        ),
        nvmlDeviceGetMemoryInfo=lambda board: _Answer(total=24 << 30),
    )
    found = mig.instances_of(pynvml.nvmlDeviceGetHandleByIndex(0), or_none)
    assert [one.share_ppm for one in found] == [slices * 250_000] * 2


@pytest.mark.parametrize("ones", [0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF])
def test_all_ones_are_no_share(walk, monkeypatch, ones):
    fake_nvml(
        monkeypatch,
        nvmlDeviceGetGpuInstanceProfileInfo=lambda *_: _Answer(sliceCount=ones),
        nvmlDeviceGetAttributes=lambda handle: _Answer(
            computeInstanceSliceCount=ones, memorySizeMB=ones
        ),
        nvmlDeviceGetMemoryInfo=lambda board: _Answer(total=ones),
    )
    board = pynvml.nvmlDeviceGetHandleByIndex(0)
    assert [one.share_ppm for one in mig.instances_of(board, or_none)] == [None] * 2
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMaxMigDeviceCount", lambda board: ones)
    assert mig.instances_of(board, or_none) == ()


def test_a_share_that_is_not_known_is_reported_once(walk, monkeypatch):
    monkeypatch.setattr(pynvml, "nvmlDeviceGetAttributes", lambda handle: None)
    boards, _ = open_boards()
    events = []
    monkeypatch.setattr(Host, "warn", lambda host, *event: events.append(event))
    watch = DeviceWatch(
        GpuKeys(), Host("n1", walk.clock, Log("text"), boards=boards, emulated=True)
    )
    watch.begin()
    watch.look()
    [(kind, device_id, text)] = [event for event in events if "share" in event[2]]
    assert (kind, device_id) == ("device", boards[0].device_id)
    assert all(one.device_id in text for one in boards[0].instances)


def test_both_versions_of_the_profile_call_are_emulated(walk):
    board = pynvml.nvmlDeviceGetHandleByIndex(0)
    for version in (1, 2):
        info = pynvml.nvmlDeviceGetGpuInstanceProfileInfo(
            board, pynvml.NVML_GPU_INSTANCE_PROFILE_7_SLICE, version=version
        )
        assert info.sliceCount == 7


def test_processes_of_instances_are_those_of_the_board_too(walk, monkeypatch):
    boards, _ = open_boards()
    board = boards[0]
    one, two = board.instances
    pids = {address(one.handle): [31, 7], address(two.handle): [12]}

    def processes(handle):
        if address(handle) not in pids:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NO_PERMISSION)
        return [_Answer(pid=pid) for pid in pids[address(handle)]]

    monkeypatch.setattr(pynvml, "nvmlDeviceGetComputeRunningProcesses", processes)
    assert board.processes_by_device() == {
        board.device_id: [7, 12, 31],
        one.device_id: [7, 31],
        two.device_id: [12],
    }
    del pids[address(one.handle)]
    assert board.processes_by_device()[one.device_id] is None
    assert board.processes() == [12]
    pids.clear()
    assert board.processes() is None


def collect(root, jobs_csv=None, duration_us=40 * S, before=None):
    """Run a daemon for a while on a node whose board 0 is cut in two; return the lake."""
    clock, lake = PlannedClock(T0), Lake(root, create=True)
    config = Config(lake=str(root), node="n1", rate_hz=10)
    with EmulatedNode(mig_profile(b0=["3g.40gb", "4g.40gb"]), "n1", clock) as node:
        boards, _ = open_boards()
        try:
            if callable(jobs_csv):
                jobs_csv = jobs_csv(boards[0])
            if jobs_csv is not None:
                config = config.model_copy(update={"jobs_file": str(jobs_csv)})
            host = Host(
                "n1",
                clock,
                Log("text"),
                boards=boards,
                lake=lake,
                emulated=True,
                declared=None if jobs_csv else node.allocations,
            )
            daemon = Daemon(config, host)
            if before is not None:
                before(node, clock)
            daemon.run(threading.Event(), duration_us)
        finally:
            close_boards()
    return lake


def test_instances_are_devices_without_power(tmp_path):
    lake = collect(tmp_path / "lake", duration_us=10 * S)
    devices = lake.read("device").to_pylist()
    assert len(devices) == 6
    instances = [row for row in devices if row["mig_parent"] is not None]
    assert {row["device_id"][:4] for row in instances} == {"MIG-"}
    [parent] = {row["mig_parent"] for row in instances}
    board = next(row for row in devices if row["device_id"] == parent)
    assert board["index"] == 0
    assert board["mig_ppm"] is None
    assert sorted(row["mig_ppm"] for row in instances) == [428_571, 571_429]
    assert all(row["limit_mw"] is None and row["update_us"] is None for row in instances)
    assert all(row["rack"] is None and row["emulated"] for row in instances)
    ids = {row["device_id"] for row in instances}
    assert ids.isdisjoint(lake.read("power")["device_id"].to_pylist())
    gauges = [row for row in lake.read("state").to_pylist() if row["device_id"] in ids]
    assert len(gauges) == 2 * 3  # at 0, 5 and 10 s
    assert all(row["pids"] == [] and row["temp_c"] is None for row in gauges)
    own = [row for row in lake.read("state").to_pylist() if row["device_id"] == parent]
    assert len(own) == 11
    assert {row["sm_util"] for row in own} == {None}


def test_a_job_on_an_instance_is_recorded_once_and_counts_on_its_board(tmp_path):
    path = tmp_path / "jobs.csv"

    def write(board):
        one, two = board.instances
        path.write_text(
            "job_id,node,device_id,start,end,share\n"
            f"a,n1,{one.device_id},1768464005,1768464035,\n"
            f"b,n1,{two.device_id},1768464005,1768464035,0.5\n"
        )
        return path

    for _ in range(2):
        lake = collect(tmp_path / "lake", write)
    jobs = lake.read("jobs").to_pylist()
    assert sorted(row["device_id"][:4] for row in jobs) == ["MIG-", "MIG-"]
    rows = allocations(lake).to_pylist()
    board = next(row for row in lake.read("device").to_pylist() if row["index"] == 0)
    assert {row["device_id"] for row in rows} == {board["device_id"]}
    assert {row["job_id"]: row["share_ppm"] for row in rows} == {"a": 428_571, "b": 285_714}
    assert {row["mig_id"] for row in rows} == {row["device_id"] for row in jobs}


def test_a_new_process_knows_what_was_recorded_of_instances(tmp_path):
    """The next daemon of the same node, an hour later, records nothing again."""
    from tokenergy_collectors.daemon.control import Control
    from tokenergy_collectors.daemon.reload import ReloadingDaemon

    path, root = tmp_path / "jobs.csv", tmp_path / "lake"
    for start_us in (T0, T0 + 3600 * S):
        clock = VirtualClock(start_us)
        with EmulatedNode(mig_profile(b0=["3g.40gb", "4g.40gb"]), "n1", clock):
            boards, _ = open_boards()
            mig_id = boards[0].instances[0].device_id
            path.write_text(f"job_id,node,device_id,start,end\na,n1,{mig_id},1768464005,\n")
            config = Config(lake=str(root), node="n1", rate_hz=10, jobs_file=str(path))
            daemon = ReloadingDaemon(config, lambda c=config: c, clock, boards, [], Control())
            daemon.run(5 * S)
            close_boards()
    [row] = Lake(root).read("jobs").to_pylist()
    assert (row["device_id"], row["recorded_us"]) == (mig_id, T0)


def test_instances_that_change_are_recorded(tmp_path):
    def before(node, clock):
        cut = ("1g.10gb", "2g.20gb", "3g.40gb")
        clock.at(30 * S, lambda: node.set_identity(0, mig=cut))

    lake = collect(tmp_path / "lake", duration_us=60 * S, before=before)
    instances = [r for r in lake.read("device").to_pylist() if r["mig_parent"] is not None]
    later = [row for row in instances if row["ts_us"] == T0 + 60 * S]
    assert len(instances) == 5
    assert sorted(row["mig_ppm"] for row in later) == [142_857, 285_714, 428_571]
    [event] = [r for r in lake.read("event").to_pylist() if r["kind"] == "device"]
    assert event["detail"].count("MIG-") == 3


def test_a_board_without_mig_costs_no_more_questions(monkeypatch):
    walk = Walk(small_profile())
    with walk.node:
        monkeypatch.setattr(pynvml, "nvmlDeviceGetMaxMigDeviceCount", pytest.fail)
        boards, _ = open_boards()
        assert [board.instances for board in boards] == [()] * 4
        close_boards()
