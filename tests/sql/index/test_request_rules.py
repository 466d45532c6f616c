"""Rules of request counters: restarts, failures, silence, frontends, pairs of servers, limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.ledger import ask
from tests.support.requests import add_requests, write_site
from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import load_site

KJ = 360
"""Energy of the hour: a board of 100 W."""


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    """A job that holds a board of 100 W for an hour; its server made a token in each second."""
    found = LakeBuilder(tmp_path / "lake")
    found.device("A")
    found.power("A", level(100_000, T0, T0 + HOUR_US, S))
    found.job("j", "A", T0, T0 + HOUR_US)
    return found


def read(builder: LakeBuilder, **more: Any) -> None:
    """Read a token counter every ten seconds, from one end of the hour to the other."""
    builder.tokens("j", [(T0 + s * S, s) for s in range(0, 3_601, 10)], **more)


def every_ten_s(count: Any, end_s: int = 3_600) -> list[tuple[int, dict[str, int]]]:
    return [(T0 + s * S, count(s)) for s in range(0, end_s + 1, 10)]


def job_of(builder: LakeBuilder, slo: str = "") -> dict[str, Any]:
    write_site(builder.lake.root, slo)
    lake = builder.build(load_site(None, builder.lake.root))
    (row,) = ask(lake, "FROM job_index WHERE job_id = 'j'")
    return row


def test_failed_requests_are_apart(builder: LakeBuilder) -> None:
    read(builder)
    add_requests(
        builder, "j", every_ten_s(lambda s: {"stop": s // 10, "length": s // 20, "abort": s // 30})
    )
    row = job_of(builder)
    assert (row["n_requests"], row["n_requests_failed"]) == (540, 120)
    assert row["j_per_request"] == pytest.approx(KJ * 1000 / 540)
    assert row["j_per_request_low"] <= row["j_per_request"] <= row["j_per_request_high"]


def test_a_server_that_tells_nothing_leaves_null_and_no_code(builder: LakeBuilder) -> None:
    read(builder)
    row = job_of(builder, "[slo]\nttft_s = 1.0")
    names = ("n_requests", "n_requests_failed", "n_joint_requests", "j_per_request", "slo",
             "slo_share", "te_gpu_goodput")  # fmt: skip
    assert {row[name] for name in names} == {None}
    assert row["reason_codes"] == ""


def test_of_two_servers_both_must_tell(builder: LakeBuilder) -> None:
    """The energy is that of both: the requests of one are too few for it."""
    read(builder)
    read(builder, source_id="other")
    add_requests(builder, "j", every_ten_s(lambda s: {"stop": s}))
    assert job_of(builder)["j_per_request"] is None


def test_servers_and_their_replicas_are_added(builder: LakeBuilder) -> None:
    for name in ("source", "other"):
        read(builder, source_id=name)
        for replica in ('{"ReplicaId":"1"}', '{"ReplicaId":"2"}'):
            counts = every_ten_s(lambda s: {"stop": s // 10})
            add_requests(builder, "j", counts, source_id=name, series=replica)
    assert job_of(builder)["n_requests"] == 4 * 360


def test_requests_that_were_not_told_all_the_time_give_no_ratio(builder: LakeBuilder) -> None:
    """An update of the collector brings them: half an hour of requests, an hour of energy."""
    read(builder)
    add_requests(builder, "j", every_ten_s(lambda s: {"stop": s}, 1_800))
    assert job_of(builder)["j_per_request"] is None


def test_what_the_last_seconds_may_have_brought_is_in_the_bound(builder: LakeBuilder) -> None:
    read(builder)
    add_requests(builder, "j", every_ten_s(lambda s: {"stop": s}, 3_580))
    row = job_of(builder)
    assert (row["n_requests"], row["n_joint_requests"]) == (3_580, 3_580)
    assert row["n_joint_requests_high"] == 3_600


def test_a_process_that_starts_again_counts_from_zero(builder: LakeBuilder) -> None:
    read(builder)
    for start_s, end_s in ((0, 1_800), (1_805, 3_600)):
        counts = [(T0 + s * S, {"stop": s - start_s}) for s in range(start_s, end_s + 1, 5)]
        add_requests(builder, "j", counts, since_us=T0 + start_s * S)
    row = job_of(builder)
    assert row["n_requests"] == 1_800 + 1_795
    assert row["n_joint_requests_low"] <= 3_595 <= row["n_joint_requests_high"]


def test_a_process_that_began_in_the_job_counts_from_its_start(builder: LakeBuilder) -> None:
    """Its first page says five: nothing else has counted them."""
    start_us = T0 + 100 * S
    pages = [(T0 + s * S, s - 100) for s in range(105, 3_601, 5)]
    builder.tokens("j", pages, since_us=start_us)
    add_requests(builder, "j", [(at, {"stop": n}) for at, n in pages], since_us=start_us)
    row = job_of(builder)
    assert (row["n_requests"], row["n_joint_requests_low"]) == (3_500, 3_500)


def test_a_start_that_moves_by_less_than_a_second_is_one_process(builder: LakeBuilder) -> None:
    read(builder)
    first = [(T0 + s * S, {"stop": s}) for s in range(0, 1_801, 10)]
    rest = [(T0 + s * S, {"stop": s}) for s in range(1_810, 3_601, 10)]
    add_requests(builder, "j", first, since_us=T0, run=1)
    add_requests(builder, "j", rest, since_us=T0 + 400_000, run=2)
    assert job_of(builder)["n_requests"] == 3_600


def test_a_fall_without_a_known_start_widens_the_bounds(builder: LakeBuilder) -> None:
    """From 1,800 to 7: seven new ones or none, and what the dead process made unread."""
    read(builder)
    add_requests(builder, "j", every_ten_s(lambda s: {"stop": s if s <= 1_800 else s - 1_803}))
    row = job_of(builder)
    assert row["n_requests"] == 1_800 + 1_797
    assert row["n_joint_requests_low"] == 1_800 + 1_790
    assert row["n_joint_requests_high"] >= 1_800 + 1_797 + 10


def test_processes_that_answer_in_turn_are_differenced_apart(builder: LakeBuilder) -> None:
    read(builder)
    for start_us, offset_s in ((T0 - 50_000 * S, 0), (T0 - 90_000 * S, 5)):
        counts = [(T0 + s * S, {"stop": 7_000 + offset_s * 1_000 + s})
                  for s in range(offset_s, 3_601, 10)]  # fmt: skip
        add_requests(builder, "j", counts, since_us=start_us)
    assert job_of(builder)["n_requests"] == 3_600 + 3_590


def test_a_frontend_counts_in_place_of_its_workers(builder: LakeBuilder) -> None:
    """A request that two workers answered is one."""
    for name in ("worker-1", "worker-2"):
        read(builder, source_id=name)
        add_requests(builder, "j", every_ten_s(lambda s: {"stop": s}), source_id=name)
    read(builder, source_id="front", metric="dynamo_frontend_output_tokens_total")
    add_requests(
        builder, "j", every_ten_s(lambda s: {"success": s}), source_id="front",
        metric="dynamo_frontend_requests_total",
    )  # fmt: skip
    assert job_of(builder)["n_requests"] == 3_600


def test_of_a_pair_only_the_server_that_is_sent_prompts_counts(builder: LakeBuilder) -> None:
    for name in ("prefill", "decode"):
        read(builder, source_id=name)
        add_requests(builder, "j", every_ten_s(lambda s: {"length": s}), source_id=name)
    read(builder, source_id="decode", kind="prompt_external")
    assert job_of(builder)["n_requests"] == 3_600


SLOW = [(T0 + s * S, {"0.1": s // 2, "0.5": s * 3 // 4, "+Inf": s}) for s in range(0, 3_601, 60)]


@pytest.mark.parametrize(
    ("slo", "share", "method"),
    [
        ("[slo]\nttft_s = 0.5", 0.75, "counted"),
        ("[slo]\nttft_s = 0.3", 0.625, "interpolated"),
        ("[slo]\nttft_s = 0.1\n[slo.models.m]\nttft_s = 0.5", 0.75, "counted"),
        ("[slo]\nttft_s = 0.1\n[slo.models.other]\nttft_s = 0.5", 0.5, "counted"),
        ("[slo.models.m]\nttft_s = 0.1", 0.5, "counted"),
        ("[slo]\nttft_s = 0.1\n[[period]]\nfrom = 2026-01-15T08:00:00Z\n"
         "[period.slo]\nttft_s = 0.5", 0.75, "counted"),
        ("[slo.models.other]\nttft_s = 0.5", None, None),
        ("[slo]\nttft_s = 0.5\ntpot_s = 0.1", None, None),
    ],
)  # fmt: skip
def test_the_slo_of_the_site_divides_requests(builder: LakeBuilder, slo, share, method) -> None:
    """A latency with a limit that no server tells leaves the whole SLO unknown."""
    read(builder)
    add_requests(builder, "j", every_ten_s(lambda s: {"stop": s}))
    add_requests(builder, "j", SLOW, kind="ttft")
    row = job_of(builder, slo)
    assert row["n_requests"] == 3_600
    assert (row["slo_share"], row["slo_method"]) == (share and pytest.approx(share), method)
    if share:
        assert row["te_gpu_goodput"] == pytest.approx(row["te_gpu_out"] / share)
        assert row["slo_share_low"] <= share <= row["slo_share_high"]


def test_damaged_counts_are_left_out(builder: LakeBuilder) -> None:
    read(builder)
    add_requests(builder, "j", every_ten_s(lambda s: {"stop": s}))
    bad = {"ts_us": T0 + 15 * S, "source_id": "source", "node": "n1", "job_id": "j", "engine": "",
           "kind": "finished", "metric": "x", "series": "{}"}  # fmt: skip
    builder.add("requests", [{**bad, "counts": text} for text in ("", "[1]", '{"stop":"x"}')])
    assert job_of(builder)["n_requests"] == 3_600


def test_another_slo_leaves_the_past_alone_unless_it_is_dated(builder: LakeBuilder) -> None:
    read(builder)
    add_requests(builder, "j", every_ten_s(lambda s: {"stop": s}))
    add_requests(builder, "j", SLOW, kind="ttft")

    def share_now(slo: str) -> tuple[float | None, str]:
        write_site(builder.lake.root, slo)
        site = load_site(None, builder.lake.root)
        done = index(builder.lake, site, progress=lambda _: None, catalog=False)
        (row,) = ask(builder.lake, "FROM job_index WHERE job_id = 'j'")
        return row["slo_share"], " ".join(done.remarks)

    assert job_of(builder)["slo_share"] is None
    # None was declared before, so the first one holds for indexed hours too.
    assert share_now("[slo]\nttft_s = 0.5") == (0.75, "")
    share, remarks = share_now("[slo]\nttft_s = 0.1")
    assert share == 0.75
    assert "slo.ttft_s = 0.1 (was 0.5)" in remarks
    dated = "[slo]\nttft_s = 0.5\n[[period]]\nfrom = 2026-01-15T08:00:00Z\n[period.slo]\n"
    assert share_now(f"{dated}ttft_s = 0.1")[0] == 0.5


def test_a_limit_must_be_a_time(builder: LakeBuilder) -> None:
    for line in ("ttft_s = 0", "tpot_s = -1", "e2e_s = 1e9", "ttft_ms = 3"):
        write_site(builder.lake.root, f"[slo]\n{line}")
        with pytest.raises(UserError, match="slo"):
            load_site(None, builder.lake.root)
