"""Pages of servers, as they are recorded or as their source writes them, and the kinds they give.

The pages of vLLM 0.32 are recorded from a server on a CPU: one, and one of two ranks.
"""

import pytest

from tests.support.lakes import T0, LakeBuilder, S
from tokenergy_collectors.lake.contract import TOKENS
from tokenergy_collectors.sources.tokens.endpoint import TokenEndpoint
from tokenergy_collectors.sources.tokens.kinds import preferred, values_of
from tokenergy_collectors.sources.tokens.page import parse
from tokenergy_collectors.sources.tokens.settings import TokenSource
from tokenergy_sql.index.tokens import Usage

VLLM_TWO_RANKS = """\
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{engine="0",model_name="tiny"} 2146.0
vllm:prompt_tokens_total{engine="1",model_name="tiny"} 1885.0
# TYPE vllm:prompt_tokens_by_source_total counter
vllm:prompt_tokens_by_source_total{engine="0",model_name="tiny",source="local_compute"} 1890.0
vllm:prompt_tokens_by_source_total{engine="1",model_name="tiny",source="local_compute"} 1757.0
vllm:prompt_tokens_by_source_total{engine="0",model_name="tiny",source="local_cache_hit"} 256.0
vllm:prompt_tokens_by_source_total{engine="1",model_name="tiny",source="local_cache_hit"} 128.0
vllm:prompt_tokens_by_source_total{engine="0",model_name="tiny",source="external_kv_transfer"} 0.0
vllm:prompt_tokens_by_source_total{engine="1",model_name="tiny",source="external_kv_transfer"} 0.0
# TYPE vllm:prompt_tokens_cached_total counter
vllm:prompt_tokens_cached_total{engine="0",model_name="tiny"} 256.0
vllm:prompt_tokens_cached_total{engine="1",model_name="tiny"} 128.0
vllm:prompt_tokens_cached_by_source_total{engine="0",model_name="tiny",source="device"} 256.0
vllm:prompt_tokens_cached_by_source_total{engine="0",model_name="tiny",source="p2p"} 0.0
vllm:prefix_cache_hits_total{engine="0",model_name="tiny"} 256.0
vllm:prefix_cache_hits_total{engine="1",model_name="tiny"} 128.0
vllm:external_prefix_cache_hits_total{engine="0",model_name="tiny"} 0.0
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{engine="0",model_name="tiny"} 686.0
vllm:generation_tokens_total{engine="1",model_name="tiny"} 806.0
vllm:request_prompt_tokens_sum{engine="0",model_name="tiny"} 2146.0
"""
"""Recorded after 40 requests: computed 3647, cached 384, generated 1492."""


def vllm(total: int, computed: int, own: int, sent: int, generated: int) -> str:
    """A page of a server of a pair: one computes prompts, the other takes what it computed."""
    by_source = {"local_compute": computed, "local_cache_hit": own, "external_kv_transfer": sent}
    return "".join(
        [
            f'vllm:prompt_tokens_total{{engine="0",model_name="m"}} {total}\n',
            f'vllm:prompt_tokens_cached_total{{engine="0",model_name="m"}} {own + sent}\n',
            *(
                f'vllm:prompt_tokens_by_source_total{{engine="0",model_name="m",source="{name}"}}'
                f" {value}\n"
                for name, value in by_source.items()
            ),
            f'vllm:generation_tokens_total{{engine="0",model_name="m"}} {generated}\n',
        ]
    )


def kinds(page: str) -> dict[str, int]:
    """Sum of all series of a page, by kind; series that count the same tokens are all in it."""
    found: dict[str, int] = {}
    series = parse(page)
    for engine in {(one.model, one.engine) for one in series}:
        own = [one for one in series if (one.model, one.engine) == engine]
        for value in values_of(preferred(own)):
            found[value.kind] = found.get(value.kind, 0) + value.value
    return found


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (VLLM_TWO_RANKS, {"prompt_computed": 3647, "prompt_cached": 384, "prompt_external": 0,
                          "generated": 1492}),
        (vllm(1000, 0, 0, 1000, 200), {"prompt_computed": 0, "prompt_cached": 0,
                                       "prompt_external": 1000, "generated": 200}),
        # Releases of 2025.
        ('vllm:prompt_tokens_total{engine="0",model_name="m"} 1000\n'
         'vllm:prefix_cache_hits_total{engine="0",model_name="m"} 800\n'
         'vllm:generation_tokens_total{engine="0",model_name="m"} 200\n',
         {"prompt_computed": 200, "prompt_cached": 800, "generated": 200}),
        ('ray_vllm_generation_tokens_total{WorkerId="a",ReplicaId="r1",model_name="m"} 700\n'
         'ray_vllm_generation_tokens_total{WorkerId="b",ReplicaId="r2",model_name="m"} 300\n',
         {"generated": 1000}),
        ("trtllm_prompt_tokens_total 90\ntrtllm_prompt_cached_tokens_total 30\n"
         "trtllm_generation_tokens_total 7\n",
         {"prompt_computed": 60, "prompt_cached": 30, "generated": 7}),
        ('lmdeploy:prompt_tokens_total{model_name="m"} 90\n'
         'lmdeploy:cached_tokens_total{model_name="m"} 30\n'
         'lmdeploy:generation_tokens_total{model_name="m"} 7\n',
         {"prompt_computed": 60, "prompt_cached": 30, "generated": 7}),
        ('tgi_request_input_length_sum 21\ntgi_request_generated_tokens_sum 5\n',
         {"prompt_computed": 21, "generated": 5}),
        ("llamacpp:prompt_tokens_total 10\nllamacpp:prompt_tokens_cached_total 3\n"
         "llamacpp:tokens_predicted_total 7\n",
         {"prompt_computed": 10, "prompt_cached": 3, "generated": 7}),
        ('dynamo_frontend_input_sequence_tokens_sum{model="m"} 90\n'
         'dynamo_frontend_cached_tokens_sum{model="m"} 30\n'
         'dynamo_frontend_output_sequence_tokens_sum{model="m"} 6\n'
         'dynamo_frontend_output_tokens_total{model="m"} 7\n',
         {"prompt_computed": 60, "prompt_cached": 30, "generated": 7}),
    ],
)  # fmt: skip
def test_a_page_gives_its_kinds(page: str, expected: dict[str, int]) -> None:
    assert kinds(page) == expected


def test_a_split_that_is_missing_for_once_changes_no_meaning() -> None:
    """Without the split by source, what is left of a page says nothing of computed prompts."""
    known = parse(vllm(1000, 300, 600, 100, 20))
    partly = "".join(
        line for line in vllm(1000, 300, 600, 100, 20).splitlines(True) if "by_source" not in line
    )
    roles = {one.counter.role for one in known}
    series = preferred(parse(partly), {one.counter for one in known})
    assert {v.kind: v.value for v in values_of(series, roles)} == {"generated": 20}


def served(builder: LakeBuilder, endpoint, pages: dict[str, list[str]]) -> dict[str, int]:
    """Scrape pages of several sources at 0, 10 and 20 s; return a job's tokens by kind."""
    builder.job("pair", "A", T0, T0 + 20 * S)
    for name, bodies in pages.items():
        now = iter([T0 + 10 * S * n for n in range(len(bodies)) for _ in (0, 1)])
        source = TokenSource(source_id=name, url=endpoint.url, job_id="pair")
        watch = TokenEndpoint(source, name, lambda now=now: next(now))
        for body in bodies:
            endpoint.body = body
            builder.add("tokens", [TOKENS.as_dict(row) for row in watch.scrape()])
    rows = Usage.of(builder.lake).rows.to_pylist()
    return {row["kind"]: row["tokens"] for row in rows}


def test_a_prompt_counts_once_in_a_pair_of_servers(tmp_path, endpoint) -> None:
    """The one computes 1,000 prompt tokens; the other is sent them, and generates 200."""
    pages = {
        "prefill": [vllm(0, 0, 0, 0, 0), vllm(1000, 1000, 0, 0, 10)],
        "decode": [vllm(0, 0, 0, 0, 0), vllm(1000, 0, 0, 1000, 200)],
    }
    found = served(LakeBuilder(tmp_path / "lake"), endpoint, pages)
    assert found == {
        "prompt_computed": 1000, "prompt_cached": 0, "prompt_external": 1000, "generated": 210,
    }  # fmt: skip


def test_ranks_of_sglang_count_once(tmp_path, endpoint) -> None:
    def page(value: int) -> str:
        return "".join(
            f'sglang:realtime_tokens_total{{model_name="m",engine_type="unified",tp_rank="0",'
            f'pp_rank="{rank}",moe_ep_rank="0",mode="decode"}} {value}\n'
            for rank in (0, 1)
        )

    found = served(LakeBuilder(tmp_path / "lake"), endpoint, {"s": [page(0), page(1000)]})
    assert found == {"generated": 1000}
