"""Token counters and jobs in the last minute, from made-up rows."""

import pytest

from tokenergy_collectors.lake.contract import TOKENS
from tokenergy_collectors.live.board import Limits, LiveBoard
from tokenergy_collectors.live.jobs import allocations_of, job_figures
from tokenergy_collectors.live.tokens import follow
from tokenergy_collectors.sources.nvml.boards import Board

S = 1_000_000
T0 = 1_768_464_000_000_000
LIMIT_US = 15 * S


class Site:
    """Boards that draw steadily from T0, and one endpoint scraped every 5 s."""

    def __init__(self, watts=(100, 200), until_s=100):
        self.boards, self.series, self.rows = {}, {}, []
        for index, power_w in enumerate(watts):
            board = Board(None, f"GPU-{index}", index, "H100", None, 700_000, None)
            live = self.boards[board.device_id] = LiveBoard(board)
            live.follow(board, Limits(2 * S, 3 * S, 15 * S, 3 * S, 300_000))
            for step in range(until_s * 10 + 1):
                counter = step * power_w * 100 if step % 10 == 0 else None
                live.reading(T0 + step * S // 10, power_w * 1000, counter)

    def hold(self, job_id, device, start_s=0, end_s=None, share_ppm=1_000_000):
        end_us = None if end_s is None else T0 + end_s * S
        row = {"job_id": job_id, "device_id": device, "start_us": T0 + start_s * S}
        self.rows.append({**row, "end_us": end_us, "share_ppm": share_ppm})

    def scrape(
        self, at_s, value, *, kind="generated", job="j", epoch=0, source="s", engine="", **more
    ):
        row = TOKENS.make_row(
            ts_us=T0 + at_s * S, source_id=source, node="n1", job_id=job, model="m", engine=engine,
            kind=kind, value=value, epoch=epoch, **more,
        )  # fmt: skip
        follow(self.series, [TOKENS.as_dict(row)], {source: LIMIT_US})

    def job(self, now_s, job_id="j", spread=()):
        jobs = allocations_of(self.rows, 0)
        now_us = T0 + round(now_s * S)
        found = job_figures(now_us, self.boards, jobs, self.series, spread)
        return next((one for one in found if one.job_id == job_id), None)


@pytest.fixture
def site():
    site = Site()
    site.hold("j", "GPU-0")
    site.hold("j", "GPU-1")
    return site


def test_watts_rate_and_cost_of_the_last_minute(site):
    for at_s in range(0, 101, 5):
        site.scrape(at_s, 1000 + (0 if at_s <= 20 else (at_s - 20) * 150))
    job = site.job(100.5)
    assert job.power_mw == 300_000
    assert job.devices == ("GPU-0", "GPU-1")
    assert job.tokens_per_s == {"generated": pytest.approx(150)}
    assert (job.kind, job.joules_per_token) == ("generated", pytest.approx(2.0))


def test_a_minute_without_tokens_has_a_rate_and_no_cost(site):
    for at_s in range(0, 101, 5):
        site.scrape(at_s, min(at_s, 30) * 10)
    job = site.job(100)
    assert job.tokens_per_s == {"generated": 0}
    assert job.joules_per_token is None


def test_one_scrape_is_no_rate_and_an_old_one_is_nothing(site):
    site.scrape(95, 500)
    assert site.job(100).tokens_per_s == {}
    assert site.job(100).kind == "generated"
    site.scrape(100, 1000)
    assert site.job(100).tokens_per_s == {"generated": 100}
    assert site.job(115).tokens_per_s == {"generated": 100}
    assert site.job(115.1).kind is None


def test_a_stale_board_makes_power_and_cost_unknown_and_leaves_the_rate(site):
    for at_s in (60, 90, 100):
        site.scrape(at_s, at_s * 10)
    assert site.job(102).power_mw == 300_000
    job = site.job(102.1)
    assert (job.power_mw, job.joules_per_token) == (None, None)
    assert job.tokens_per_s == {"generated": 10}
    site.hold("j", "GPU-9")
    assert site.job(101).power_mw is None, "a board that is not there"


def test_a_counter_that_restarts_counts_on_and_engines_are_added(site):
    site.scrape(90, 5_000)
    site.scrape(95, 100, epoch=1)
    site.scrape(100, 200, epoch=1)
    assert site.job(100).tokens_per_s == {"generated": pytest.approx(20)}
    assert [one.total(T0 + 100 * S) for one in site.series.values()] == [5_200]
    site.scrape(90, 0, engine="1")
    site.scrape(100, 300, engine="1")
    assert site.job(100).tokens_per_s == {"generated": pytest.approx(50)}
    assert site.job(100).joules_per_token == pytest.approx(3000 / 500)


def test_shares_and_job_edges_divide_the_energy():
    site = Site()
    site.hold("j", "GPU-0", share_ppm=250_000)
    site.hold("j", "GPU-1", 0, 80)
    for at_s in (60, 100):
        site.scrape(at_s, at_s * 10)
    job = site.job(100)
    assert job.power_mw == 25_000
    assert job.devices == ("GPU-0",)
    assert job.joules_per_token == pytest.approx((25 * 40 + 200 * 20) / 400)


def test_energy_before_a_job_began_is_not_its_own():
    site = Site()
    site.hold("j", "GPU-0", 80)
    for at_s in (60, 75, 90, 100):
        site.scrape(at_s, max(0, at_s - 80) * 10)
    assert site.job(100).joules_per_token == pytest.approx(100 * 20 / 200)


def test_training_is_divided_by_trained_tokens_and_prompts_by_nothing(site):
    for at_s in (60, 100):
        site.scrape(at_s, at_s * 3, kind="trained")
        site.scrape(at_s, at_s * 7, kind="prompt_computed", job="p", source="p")
    job = site.job(100)
    assert (job.kind, job.joules_per_token) == ("trained", pytest.approx(100))
    prompts = site.job(100, "p")
    assert (prompts.kind, prompts.joules_per_token, prompts.power_mw) == (None, None, None)
    assert prompts.tokens_per_s == {"prompt_computed": pytest.approx(7)}


def test_a_job_on_other_nodes_too_has_no_cost_here(site):
    for at_s in (60, 100):
        site.scrape(at_s, at_s * 10)
    assert site.job(100).joules_per_token is not None
    job = site.job(100, spread={"j"})
    assert (job.joules_per_token, job.power_mw) == (None, 300_000)


def test_a_job_that_is_over_is_gone():
    site = Site()
    site.hold("j", "GPU-0", 0, 50)
    assert site.job(49.9) is not None
    assert site.job(50) is None


def test_points_older_than_a_minute_are_dropped(site):
    for at_s in range(0, 101, 5):
        site.scrape(at_s, at_s)
    [series] = site.series.values()
    assert [series.points[0][0], len(series.points)] == [T0 + 25 * S, 16]
    (first, last) = series.minute(T0 + 100 * S)
    assert (first[0], last[0]) == (T0 + 40 * S, T0 + 100 * S)


def test_programs_of_one_name_in_two_jobs_are_apart(site):
    for at_s in (0, 50):
        site.scrape(at_s, at_s * 100, source="otlp:gateway", series='{"program":"1"}')
        site.scrape(at_s, at_s * 2, source="otlp:gateway", series='{"program":"2"}', job="k")
    assert site.job(50).tokens_per_s == {"generated": 100}
    assert site.job(50, "k").tokens_per_s == {"generated": 2}


def test_a_server_and_its_clients_count_once(site):
    client = {"source": "otlp:gateway", "metric": "gen_ai.client.token.usage"}
    for at_s in (0, 50):
        site.scrape(at_s, at_s * 100, metric="vllm:generation_tokens_total")
        site.scrape(at_s, at_s * 90, **client)
        site.scrape(at_s, at_s * 7, kind="prompt_cached", **client)
    assert site.job(50).tokens_per_s == {"generated": 100, "prompt_cached": 7}


def test_series_of_jobs_that_are_over_are_forgotten(site):
    site.scrape(0, 1, job="old")
    site.scrape(1800, 1, job="later")
    site.scrape(3700, 1, job="new")
    assert [key.job_id for key in site.series] == ["later", "new"]
