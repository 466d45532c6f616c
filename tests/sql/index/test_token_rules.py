"""What a counter is, and when it restarted: one small history for each rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.counting import GROWTH, Steps, counted, every_ten
from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tokenergy_collectors.sources.tokens.counters import COUNTERS, FRONTENDS
from tokenergy_sql.catalog.duck import open_memory
from tokenergy_sql.catalog.views import UNITS, define
from tokenergy_sql.index.tokens import Usage

VLLM = "vllm:generation_tokens_total"
SGLANG = "sglang:realtime_tokens_total"


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    found = LakeBuilder(tmp_path / "lake")
    found.job("j", "A", T0, T0 + 60 * S)
    return found


def labels(**of: str) -> str:
    return json.dumps(of, sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize(
    "more",
    [
        {"node": "n2"},
        {"model": "other"},
        {"engine": "1"},
        {"source_id": "other"},
        {"metric": VLLM, "series": labels(ReplicaId="b")},
        {"metric": SGLANG, "series": labels(dp_rank="1", tp_rank="0")},
    ],
)
def test_series_that_differ_in_any_name_are_counters_of_their_own(
    builder: LakeBuilder, more: dict[str, Any]
) -> None:
    first: dict[str, Any] = {}
    if "metric" in more:
        first = {"metric": more["metric"], "series": more["series"].replace("b", "a")}
        first["series"] = first["series"].replace('"1"', '"0"')
    builder.tokens("j", every_ten(GROWTH), **first)
    builder.tokens("j", every_ten([50_000 + n // 2 for n in GROWTH]), **more)
    assert counted(builder) == (900, 900, 900, None)


def test_ranks_that_count_the_same_count_once(builder: LakeBuilder) -> None:
    for dp in "01":
        for tp in "01":
            series = labels(dp_rank=dp, mode="decode", tp_rank=tp, pp_rank="0")
            builder.tokens("j", every_ten(GROWTH), metric=SGLANG, series=series)
    assert counted(builder) == (1200, 1200, 1200, None)


def test_two_names_of_one_counter_count_once(builder: LakeBuilder) -> None:
    for metric in ("sglang:generation_tokens_total", "sglang_generation_tokens_total"):
        builder.tokens("j", every_ten(GROWTH), metric=metric, series="{}")
    assert counted(builder) == (600, 600, 600, None)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"metric": "lmdeploy:cached_tokens_total"}, {"metric": "lmdeploy:cached_total"}),
        ({"metric": SGLANG}, {"metric": SGLANG, "series": labels(tp_rank="0")}),
    ],
)
def test_a_name_that_takes_the_place_of_another_is_added_to_it(
    builder: LakeBuilder, old: dict[str, Any], new: dict[str, Any]
) -> None:
    """After an update a counter has another name: an hour has some tokens under each of them.

    Between the last reading of the one and the first of the other nobody knows what was made.
    """
    points = every_ten(GROWTH)
    builder.tokens("j", points[:3], **{"series": "{}", **old})
    builder.tokens("j", points[3:], **{"series": "{}", **new})
    tokens, low, high, reasons = counted(builder)
    assert (tokens, low, reasons) == (500, 500, "token_anomaly")
    assert high >= 600


def test_a_name_that_the_page_had_from_the_start_of_its_process_counts_once(
    builder: LakeBuilder,
) -> None:
    """A newer collector reads another name of a process whose start it knows."""
    points = every_ten(GROWTH)
    since: dict[str, Any] = {"series": "{}", "since_us": T0}
    builder.tokens("j", points[:3], metric="vllm:gpu_prefix_cache_hits_total", **since)
    builder.tokens("j", points[3:], metric="vllm:prefix_cache_hits_total", **since)
    assert counted(builder)[0] == 600


def test_replicas_that_come_and_go_are_no_anomaly(builder: LakeBuilder) -> None:
    points = every_ten(GROWTH)
    for name, of in (("a", points[:3]), ("b", points[3:])):
        builder.tokens("j", of, metric=VLLM, series=labels(ReplicaId=name))
    assert counted(builder)[0] == 500
    assert counted(builder)[3] is None


def test_rows_of_an_older_lake_go_on_in_the_only_series(builder: LakeBuilder) -> None:
    points = every_ten(GROWTH)
    builder.tokens("j", points[:3])
    builder.tokens("j", points[3:], metric=VLLM, series="{}")
    assert counted(builder) == (600, 600, 600, None)


def test_a_series_that_is_gone_ends_nothing(builder: LakeBuilder) -> None:
    """Ray scales a replica down, and its series is missing from then on; or for once."""
    of = [{"metric": VLLM, "series": labels(ReplicaId=name)} for name in "ab"]
    builder.tokens("j", every_ten(GROWTH), **of[0])
    points = every_ten([n + 5_000 for n in GROWTH])
    builder.tokens("j", [*points[:2], points[3]], **of[1])
    assert counted(builder) == (900, 900, 1200, None)


def test_one_low_reading_is_left_out(builder: LakeBuilder) -> None:
    builder.tokens("j", every_ten([0, 100, 200, 7, 400, 500, 600]))
    assert counted(builder) == (600, 600, 800, "token_anomaly")


@pytest.mark.parametrize("since_us", [None, T0 - HOUR_US])
def test_a_low_reading_beside_an_edge_moves_no_tokens(tmp_path: Path, since_us: int | None) -> None:
    """The job ends 5.5 s after 12 tokens, and 10 s after them there are 15; between them is a 0."""
    builder = LakeBuilder(tmp_path / "lake")
    builder.job("j", "A", T0, T0 + 10 * S + 500_000)
    points = [(T0 + 5 * S * n, value) for n, value in enumerate((9, 12, 0, 15))]
    builder.tokens("j", points, since_us=since_us)
    assert counted(builder)[0] == 12 + 3 * 55 // 100 - 9


def test_one_low_reading_of_a_large_known_counter_is_no_leap(builder: LakeBuilder) -> None:
    far = [10**10 + n for n in GROWTH]
    builder.tokens("j", every_ten([*far[:3], 0, *far[4:]]), since_us=T0 - HOUR_US)
    assert counted(builder)[:2] == (600, 600)


def test_one_high_reading_is_left_out(builder: LakeBuilder) -> None:
    builder.tokens("j", every_ten([10_000, 10_100, 10_200, 900_000, 10_400, 10_500, 10_600]))
    assert counted(builder) == (600, 600, 900_600, "token_anomaly")


def test_one_high_reading_of_a_young_counter_is_left_out(builder: LakeBuilder) -> None:
    builder.tokens("j", every_ten([5, 15, 900_000, 40, 50, 60, 70]))
    assert counted(builder) == (65, 65, 900_065, "token_anomaly")


def test_a_young_counter_that_restarts(builder: LakeBuilder) -> None:
    builder.tokens("j", every_ten([0, 90, 10, 30, 50, 60, 70]))
    assert counted(builder)[:2] == (90 + 70, 160)


@pytest.mark.parametrize("after", [[600, 700, 800], [5, 105, 205]])
def test_a_leap_adds_nothing(builder: LakeBuilder, after: Steps) -> None:
    """It is left out whether the counter comes back to its line or restarts."""
    builder.tokens("j", every_ten([300, 400, 500, 10**15, *after]))
    tokens, low, high, reasons = counted(builder)
    assert (tokens, reasons) == (after[-1] - 300 if after[0] == 600 else 405, "token_anomaly")
    assert low <= tokens < 10**15 <= high


def test_a_leap_that_stays_adds_nothing(builder: LakeBuilder) -> None:
    builder.tokens("j", every_ten([300, 400, 500, 10**15, 10**15 + 100, 10**15 + 200]))
    tokens, low, high, reasons = counted(builder)
    assert (tokens, low, reasons) == (400, 400, "token_anomaly")
    assert high > 10**14


def test_a_restart_with_an_unknown_start_widens_the_upper_bound(builder: LakeBuilder) -> None:
    """What the dead process made after its last reading is not known: 10 s at the peak rate."""
    builder.tokens("j", every_ten([1000, 1100, 1200, 50, 150, 250, 350]))
    assert counted(builder) == (200 + 350, 550, 650, None)


def test_a_fall_at_the_end_is_left_out(builder: LakeBuilder) -> None:
    """Nothing says what it was: the next reading may be back on the line."""
    builder.tokens("j", every_ten([1000, 1100, 1200, 1300, 1400, 1500, 50]))
    assert counted(builder) == (500, 500, 500 + 50 + 100, "token_anomaly")


def test_a_process_that_began_later_is_a_restart_even_if_it_overtakes(builder: LakeBuilder) -> None:
    points = every_ten([1000, 1100, 1200, 5000, 5100, 5200, 5300])
    builder.tokens("j", points[:3], since_us=T0 - HOUR_US)
    builder.tokens("j", points[3:], since_us=T0 + 22 * S)
    tokens, low, high, reasons = counted(builder)
    assert (tokens, low, reasons) == (200 + 5300, 5500, None)
    # 2 s of the dead process at the steepest rate that the counter showed: 5000 in 8 s
    assert high == 5500 + 2 * 625


@pytest.mark.parametrize("apart_us", [S // 2, 5 * S])
def test_two_processes_that_answer_in_turn_are_counted_apart(
    builder: LakeBuilder, apart_us: int
) -> None:
    """Two workers behind one address; their starts may be half a second apart."""
    first = every_ten([1_000_000 + n for n in GROWTH])
    second = every_ten([400_000 + n for n in GROWTH])
    builder.tokens("j", first[::2], since_us=T0 - HOUR_US)
    builder.tokens("j", second[1::2], since_us=T0 - HOUR_US + apart_us)
    tokens, low, high, reasons = counted(builder)
    assert (tokens, low, reasons) == (600 + 400, 1000, "token_anomaly")
    assert high >= 1200


def highs(builder: LakeBuilder) -> list[int]:
    """Upper bounds of the hours of the job, in order."""
    counted(builder)
    rows = Usage.of(builder.lake).rows.sort_by("hour_us").to_pylist()
    return [row["high"] for row in rows]


def test_unseen_time_widens_each_hour_by_its_own(tmp_path: Path) -> None:
    """An endpoint is read at 10 tokens a second for a minute, then silent for three hours."""
    builder = LakeBuilder(tmp_path / "lake")
    builder.job("j", "A", T0, T0 + 3 * HOUR_US)
    builder.tokens("j", every_ten(GROWTH))
    assert highs(builder) == [36_000] * 3


def test_time_before_the_first_reading_widens_each_hour_by_its_own(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.job("j", "A", T0 - 2 * HOUR_US, T0 + 60 * S)
    builder.tokens("j", every_ten([n + 1_000_000 for n in GROWTH]))
    assert highs(builder) == [36_000, 36_000, 600]


def test_a_dead_process_widens_the_hour_of_its_death_alone(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.job("j", "A", T0, T0 + 2 * HOUR_US)
    builder.tokens("j", every_ten(GROWTH), since_us=T0 - HOUR_US)
    later = [(T0 + at * S, 0) for at in (90, 3600, 7200)]
    builder.tokens("j", later, since_us=T0 + 90 * S - 1)
    assert highs(builder) == [900, 0]


def test_a_known_process_never_restarts(builder: LakeBuilder) -> None:
    """Readings below its highest add nothing, however many there are."""
    builder.tokens("j", every_ten([1000, 1100, 7, 8, 9, 1500, 1600]), since_us=T0 - HOUR_US)
    tokens, low, high, reasons = counted(builder)
    assert (tokens, low, reasons) == (600, 600, "token_anomaly")
    assert high >= 100 + 1600


@pytest.mark.parametrize("high", [[90_000, 90_010], [10**15] * 2, [5_000, 90_000, 90_100, 90_200]])
def test_several_high_readings_of_a_known_process_are_left_out(
    builder: LakeBuilder, high: Steps
) -> None:
    """It fell from them for good, to a value that goes on from the one before them."""
    values = [900, *high, 1000, 1100]
    builder.tokens("j", every_ten(values), since_us=T0 - HOUR_US)
    tokens, low, upper, reasons = counted(builder)
    assert (tokens, low, reasons) == (200, 200, "token_anomaly")
    assert upper >= high[-1] - 900


def test_bounds_hold_what_a_known_process_reads_below_its_highest(builder: LakeBuilder) -> None:
    """Nobody knows which were right: it came back to where it was too high."""
    values = [900, 2_000, 2_010, 1000, 1100, 2_100]
    builder.tokens("j", every_ten(values)[:5], since_us=T0 - HOUR_US)
    builder.tokens("j", [(T0 + 10 * HOUR_US, 2_100)], since_us=T0 - HOUR_US)
    tokens, low, high, reasons = counted(builder)
    assert low <= 200 <= high
    assert low <= tokens <= high
    assert reasons == "token_anomaly"


def test_several_low_readings_of_a_known_process_are_left_out(builder: LakeBuilder) -> None:
    builder.tokens("j", every_ten([900, 3, 4, 1000]), since_us=T0 - HOUR_US)
    assert counted(builder)[:2] == (100, 100)


def test_a_start_that_wavers_is_one_process(builder: LakeBuilder) -> None:
    for n, point in enumerate(every_ten(GROWTH)):
        builder.tokens("j", [point], since_us=T0 - HOUR_US + n % 2 * 400_000)
    assert counted(builder) == (600, 600, 600, None)


def test_a_page_that_lacks_the_start_for_once(builder: LakeBuilder) -> None:
    for n, point in enumerate(every_ten(GROWTH)):
        builder.tokens("j", [point], since_us=None if n == 3 else T0 - HOUR_US)
    assert counted(builder) == (600, 600, 600, None)


def test_a_coarse_counter_says_so_and_its_bounds_hold_a_step(builder: LakeBuilder) -> None:
    builder.tokens("j", every_ten([1_234_560_000] * 7), quantum=10_000)
    assert counted(builder) == (0, 0, 10_000, "coarse_counter")


def test_one_id_in_two_clusters_are_two_jobs(builder: LakeBuilder) -> None:
    builder.tokens("17", every_ten(GROWTH), cluster="a")
    builder.tokens("17", every_ten(GROWTH), cluster="b")
    rows = Usage.of(builder.lake).rows.to_pylist()
    assert {(row["job_id"], row["tokens"]) for row in rows} == {("a/17", 600), ("b/17", 600)}


def test_tokens_are_known_from_the_first_to_the_last_reading(builder: LakeBuilder) -> None:
    """An endpoint that died ends there; a known zero is the beginning."""
    builder.tokens("j", every_ten(GROWTH)[2:5], since_us=T0 + 15 * S)
    builder.tokens("j", every_ten(GROWTH)[1:3], source_id="other", node="n2")
    known = Usage.of(builder.lake).known.sort_by("source_id").to_pylist()
    assert known == [
        {
            "job_id": "j", "node": "n2", "source_id": "other",
            "from_us": T0 + 10 * S, "to_us": T0 + 20 * S,
        },
        {
            "job_id": "j", "node": "n1", "source_id": "source",
            "from_us": T0 + 15 * S, "to_us": T0 + 40 * S,
        },
    ]  # fmt: skip


def test_two_processes_with_time_between_them_are_known_apart(builder: LakeBuilder) -> None:
    points = every_ten(GROWTH)
    builder.tokens("j", points[:2], since_us=T0 - HOUR_US)
    builder.tokens("j", points[5:], since_us=T0 + 40 * S)
    known = Usage.of(builder.lake).known.sort_by("from_us").to_pylist()
    assert [(row["from_us"] - T0, row["to_us"] - T0) for row in known] == [
        (0, 10 * S), (40 * S, 60 * S)
    ]  # fmt: skip


def test_a_frontend_counts_only_where_none_of_its_workers_was_read(builder: LakeBuilder) -> None:
    """Dynamo's frontend counts what its workers count, on another host."""
    front = {"metric": "dynamo_frontend_output_tokens_total", "series": "{}", "node": "front"}
    builder.tokens("j", every_ten(GROWTH), **front)
    assert counted(builder) == (600, 600, 600, None)
    points = every_ten([n // 2 for n in GROWTH])
    for name in "ab":
        builder.tokens("j", points, metric=VLLM, series="{}", source_id=name)
    assert counted(builder) == (600, 600, 600, None)
    builder.tokens("j", every_ten(GROWTH), kind="prompt_computed", **front)
    assert counted(builder) == (1200, 1200, 1200, None)


def test_frontends_are_those_that_the_collector_knows() -> None:
    with open_memory() as con:
        define(con, UNITS)
        for counter in COUNTERS:
            found = con.execute("SELECT token_frontend($1)", [counter.metric]).fetchone()
            assert found == (counter.metric.startswith(FRONTENDS),), counter.metric
