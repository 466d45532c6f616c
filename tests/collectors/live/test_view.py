"""The view as the daemon feeds it, held against what the emulated node says of itself."""

import pynvml
import pytest

from tests.support.live import Metrics, S, Shown, long_profile, show_meters, text_of
from tokenergy_collectors.live.catalogue import DISK, FAMILIES, SEALED, UPLOADS, Family
from tokenergy_collectors.live.view import LiveView, housekeeping_metrics
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.upload.uploader import UploadCounters


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What was shown at 100.05 s, between two ticks, and what the node said then and before."""
    shown = Shown(tmp_path_factory.mktemp("lake"), roll_s=30)
    shown.told = {}

    def note(seconds):
        def task(node, _):
            at_us = node.now_us()
            chat, train = (workload for placed, workload in node._running[:2])
            for workload in (chat, train):
                workload.advance(at_us)
            shown.told[seconds] = {
                "energy_mj": [board.energy_mj(at_us) for board in node.boards],
                "power_mw": [board.power_instant_mw(at_us) for board in node.boards],
                "sm": [board.utilization(at_us)[0] for board in node.boards],
                "chat": dict(zip(chat.counters, chat.totals_at(at_us), strict=False)),
                "train": dict(zip(train.counters, train.totals_at(at_us), strict=False)),
            }

        return task

    def look(node, _):
        show_meters(shown.view)
        shown.seen = shown.look()
        shown.devices = [board.identity.uuid for board in node.boards]

    for seconds in (40, 100):
        shown.at(seconds, note(seconds))
    shown.at(100.05, look)
    shown.run(101)
    return shown


def test_power_energy_and_gauges_are_the_boards_own(seen):
    now, before = seen.told[100], seen.told[40]
    for index, device in enumerate(seen.devices):
        told = {"device": device, "index": index, "node": "n1"}
        job = ("chat", "chat", "train", "")[index]
        power_mw, energy_mj = now["power_mw"][index], now["energy_mj"][index]
        assert seen.seen.one("gpu_power_watts", **told, job_id=job) == power_mw / 1000
        assert seen.seen.one("gpu_energy_joules_total", **told) == energy_mj / 1000
        minute_j = (energy_mj - before["energy_mj"][index]) / 1000
        assert seen.seen.one("gpu_energy_last_minute_joules", **told) == pytest.approx(minute_j)
        assert seen.seen.one("gpu_utilization_ratio", **told) == now["sm"][index] / 100
        assert seen.seen.one("gpu_power_limit_watts", **told) == 700
        assert seen.seen.one("gpu_up", **told) == 1
        assert seen.seen.one("gpu_info", **told, name="NVIDIA H100 80GB HBM3") == 1
        assert seen.seen.one("gpu_processes", **told) == (0 if index == 3 else 1)


def test_tokens_rates_and_joules_per_token_are_the_jobs_own(seen):
    now, before = seen.told[100], seen.told[40]
    for job, kind, boards in (("chat", "generated", (0, 1)), ("train", "trained", (2,))):
        total, tokens = now[job][kind], now[job][kind] - before[job][kind]
        energy_j = sum(now["energy_mj"][i] - before["energy_mj"][i] for i in boards) / 1000
        assert seen.seen.one("tokens_total", job_id=job, kind=kind, source=f"n1/{job}") == total
        rate = seen.seen.one("job_tokens_per_second", job_id=job, kind=kind)
        assert rate == pytest.approx(tokens / 60)
        cost = seen.seen.one("job_joules_per_token", job_id=job, kind=kind)
        assert cost == pytest.approx(energy_j / tokens)
        power_w = sum(now["power_mw"][i] for i in boards) / 1000
        assert seen.seen.one("job_power_watts", job_id=job) == pytest.approx(power_w)
        assert seen.seen.one("job_gpus", job_id=job) == len(boards)


def test_the_collectors_own_numbers(seen):
    metrics = seen.seen
    # 10 Hz from 0 to 100 s, and once at the start of each job (3.000001 s and 5 s).
    assert metrics.one("collector_readings_total") == 4 * (1001 + 2)
    assert metrics.one("collector_events_total", kind="start") == 1
    for name in ("late_ticks", "gaps", "dropped_rows", "recovered_rows"):
        assert metrics.one(f"collector_{name}_total") == 0
    assert metrics.one("collector_last_seal_timestamp_seconds") == seen.profile.start_us / 1e6 + 90
    assert metrics.one("collector_time_seconds") == seen.profile.start_us / 1e6 + 100.05
    assert metrics.one("collector_wal_bytes") >= 0
    assert metrics.one("collector_resident_memory_bytes") > 1 << 20
    assert metrics.one("collector_cpu_seconds_total") > 0


def test_every_family_is_served_with_its_type_and_its_help(seen):
    served = {family.name: family for family in seen.seen.families}
    expected = [family for family in FAMILIES if family not in {*UPLOADS.values(), *DISK.values()}]
    for family in expected:
        name = family.name.removesuffix("_total")
        assert served[name].type == family.type, name
        assert not {"job", "instance"} & set(family.labels), "Prometheus' own"
        assert served[name].documentation.startswith(family.meaning), name
        for sample in served[name].samples:
            assert tuple(sorted(sample.labels)) == tuple(sorted(family.labels)), name
    assert len(served) == len(expected)


def test_a_lost_board_disappears_after_its_limit_and_comes_back(tmp_path):
    shown, looks = Shown(tmp_path), {}
    shown.at(70, lambda node, _: node.fail(1, pynvml.NVML_ERROR_GPU_IS_LOST))
    for seconds in (69.95, 71.85, 71.95, 74.95, 95):
        shown.at(seconds, lambda _, metrics, at=seconds: looks.update({at: metrics}))
    shown.at(80, lambda node, _: node.fail(1, None))
    shown.run(96)
    # The last reading is of 69.9 s; the limit is 2 s.
    for at, watts in ((69.95, 1), (71.85, 1), (71.95, 0), (74.95, 0), (95, 1)):
        metrics = looks[at]
        assert len(metrics.all("gpu_power_watts", index=1)) == watts, at
        assert metrics.one("gpu_up", index=1, job_id="chat") == watts, at
        assert len(metrics.all("job_power_watts", job_id="chat")) == watts, at
        assert len(metrics.all("job_joules_per_token", job_id="chat")) == watts, at
        assert len(metrics.all("job_power_watts", job_id="train")) == 1, at
        assert len(metrics.all("gpu_power_watts")) == 3 + watts, at
        assert metrics.one("job_tokens_per_second", job_id="chat", kind="generated") > 0, at
    assert looks[74.95].all("gpu_energy_joules_total", index=1) == []
    assert looks[74.95].all("gpu_temperature_celsius", index=1) == []
    assert looks[74.95].one("collector_events_total", kind="lost") == 1
    assert looks[95].one("collector_gaps_total") == 1
    read_s = looks[74.95].one("gpu_last_reading_timestamp_seconds", index=1)
    assert read_s == shown.profile.start_us / 1e6 + 69.9


def test_a_board_without_a_counter_has_energy_by_its_readings(tmp_path):
    shown, looks = Shown(tmp_path, long_profile(unsupported=["counter"])), []
    energies = []
    for seconds in (40, 100):
        shown.at(
            seconds,
            lambda node, _: energies.append([b.energy_mj(node.now_us()) for b in node.boards]),
        )
    shown.at(100.05, lambda _, metrics: looks.append(metrics))
    shown.run(101)
    assert looks[0].all("gpu_energy_joules_total") == []
    for index in range(4):
        truth_j = (energies[1][index] - energies[0][index]) / 1000
        found_j = looks[0].one("gpu_energy_last_minute_joules", index=index)
        assert found_j == pytest.approx(truth_j, rel=0.05)
        assert found_j != truth_j
    assert looks[0].one("job_joules_per_token", job_id="train") > 0


def test_a_reload_keeps_totals_and_the_last_minute(tmp_path):
    shown = Shown(tmp_path)
    shown.run(80)
    first = shown.look()
    shown.at(2.05, lambda _, metrics: shown.__dict__.update(seen=metrics))
    node_start = shown.clock.realtime_us()
    shown.run(3)
    # Ticks, two starts of jobs, the end of the run; then the second run's ticks up to 2 s.
    assert first.one("collector_readings_total") == 4 * (801 + 2 + 1)
    assert shown.seen.one("collector_readings_total") == 4 * (801 + 2 + 1 + 21)
    assert shown.seen.one("collector_events_total", kind="start") == 2
    assert shown.seen.one("collector_events_total", kind="stop") == 1
    assert len(shown.seen.all("gpu_energy_last_minute_joules")) == 4
    assert shown.seen.one("collector_time_seconds") == node_start / 1e6 + 2.05


def test_jobs_that_the_lake_knows_already_are_shown(tmp_path):
    shown = Shown(tmp_path)
    shown.known, shown.spread = True, ("train",)
    shown.at(20.05, lambda _, metrics: shown.__dict__.update(seen=metrics))
    shown.run(21)
    recorded = shown.lake.read("jobs").to_pylist()
    assert {row["recorded_us"] for row in recorded} == {shown.profile.start_us - S}
    assert len(shown.seen.all("gpu_power_watts", job_id="chat")) == 2
    assert shown.seen.one("job_joules_per_token", job_id="chat") > 0
    assert shown.seen.all("job_joules_per_token", job_id="train") == []
    assert shown.seen.one("job_power_watts", job_id="train") > 0


@pytest.mark.parametrize("step_s", [3600, -3600])
def test_stamps_that_step_drop_the_last_minute_and_keep_totals(tmp_path, step_s):
    shown = Shown(tmp_path)
    shown.run(80)
    readings = shown.look().one("collector_readings_total")
    boards = [live.board for live in shown.view.boards.values()]
    offset_us = shown.clock.realtime_us() - shown.clock.monotonic_us() + step_s * S
    late = iter(range(5, 9))
    shown.view.begin(shown.config, boards, offset_us, late=lambda: next(late))
    metrics = shown.look()
    assert metrics.all("gpu_power_watts") == []
    assert metrics.all("tokens_total") == []
    assert metrics.one("collector_readings_total") == readings
    assert metrics.one("collector_late_ticks_total") == 5
    shown.view.begin(shown.config, boards, offset_us, late=lambda: 0)
    assert shown.look().one("collector_late_ticks_total") == 6


def test_a_longer_period_allows_older_values(tmp_path):
    shown = Shown(tmp_path)
    shown.run(1)
    board = next(iter(shown.view.boards.values())).board
    offset_us = shown.clock.realtime_us() - shown.clock.monotonic_us()
    for config, power_s in (({"rate_hz": 0.5}, 6), ({"metrics": {"stale_s": 9.0}}, 9)):
        given = Config.model_validate({"lake": "x", "node": "n1", **config})
        shown.view.begin(given, [board], offset_us, late=lambda: 0)
        limits = next(iter(shown.view.boards.values())).limits
        assert limits.power_us == power_s * S
        assert limits.counter_us == power_s * S
    assert (limits.state_us, limits.processes_us) == (3 * S, 15 * S)


def test_further_counts_are_served_where_they_are_told(tmp_path, monkeypatch):
    shown = Shown(tmp_path)
    family = Family("tokenergy_collector_test_total", "counter", "", "a count of a test")
    monkeypatch.setattr("tokenergy_collectors.live.catalogue.FAMILIES", (*FAMILIES, family))
    view = LiveView(shown.clock)
    assert Metrics(text_of(view)).one("collector_test_total") is None
    view.extras[family] = lambda: 41
    assert Metrics(text_of(view)).one("collector_test_total") == 41
    assert Metrics(text_of(view)).all(SEALED.name.removeprefix("tokenergy_")) == []


class Kept:
    """Housekeeping that uploads and sets no limit."""

    disk = None

    def __init__(self, counters):
        self.counters = counters

    @property
    def uploads(self):
        return self.counters[0]


def test_an_uploader_s_counters_are_served_as_they_are(tmp_path):
    view, told = LiveView(Shown(tmp_path).clock), [UploadCounters()]
    view.extras = housekeeping_metrics(Kept(told))
    told[0] = UploadCounters(
        files=3, bytes=4_000, failures=5, backlog_files=6, backlog_bytes=7_000, oldest_waiting_s=8.5
    )
    metrics = Metrics(text_of(view))
    names = ("uploaded_files_total", "uploaded_bytes_total", "upload_failures_total")
    assert [metrics.one(f"collector_{name}") for name in names] == [3, 4_000, 5]
    names = ("upload_backlog_files", "upload_backlog_bytes", "upload_backlog_age_seconds")
    assert [metrics.one(f"collector_{name}") for name in names] == [6, 7_000, 8.5]
