from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenergy_collectors.lake.contract import TOKEN_KINDS
from tokenergy_collectors.sources.tokens.counters import (
    COUNTERS,
    Counter,
    Role,
    counter_of,
    role_of,
)
from tokenergy_collectors.sources.tokens.kinds import values_of
from tokenergy_collectors.sources.tokens.page import Series


def kinds_of(values: Mapping[Role, int], known: Collection[Role] = ()) -> dict[str, int]:
    """Values by kind of one engine that has one series of each role."""
    series = [Series(Counter("x", role, role), f"x:{role}", {}, n) for role, n in values.items()]
    return {value.kind: value.value for value in values_of(series, known)}


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("prompt_tokens", "prompt_all"),
        ("prompt_tokens_total", "prompt_all"),
        ("vllm:prompt_tokens_total", "prompt_all"),
        ("vllm_prompt_tokens", "prompt_all"),
        ("ray_vllm_generation_tokens_total", "generated"),
        ("ray_vllm:prompt_tokens_cached_total", "prompt_cached"),
        ('vllm:generation_tokens_total{model_name="a", engine="0"}', "generated"),
        ("llamacpp:prompt_tokens_total", "prompt_computed"),
        ("tokens_predicted_total", "generated"),
        ("tgi_request_generated_tokens_sum", "generated"),
        ("trtllm_prompt_cached_tokens_total", "prompt_cached"),
        ("lmdeploy:cached_tokens_total", "prompt_cached"),
        ("tokenergy_trained_tokens_total", "trained"),
        ('sglang:realtime_tokens_total{mode="prefill_cache"}', "prompt_cached"),
        ("sglang:realtime_tokens_total", None),
        ("vllm:prompt_tokens_by_source_total", None),
        ("vllm:iteration_tokens_total_sum", None),
        ("vllm:request_prompt_tokens_sum", None),
        ("total_tokens", None),
        ("timestamp", None),
        ("", None),
    ],
)
def test_roles(name: str, role: str | None) -> None:
    assert role_of(name) == role


@pytest.mark.parametrize("counter", COUNTERS, ids=lambda c: f"{c.metric}-{c.role}")
def test_every_counter_is_found_under_all_its_names(counter: Counter) -> None:
    labels = dict(counter.labels) or {"model_name": "m"}
    for name in (counter.metric, counter.metric.replace(":", "_"), f"ray_{counter.metric}"):
        assert counter_of(name, labels) is counter
        assert counter_of(f"{name}_total", labels) is counter


def test_kinds() -> None:
    assert kinds_of({"prompt_all": 10, "prompt_cached": 4, "generated": 2}) == {
        "prompt_computed": 6,
        "prompt_cached": 4,
        "generated": 2,
    }
    assert kinds_of({"prompt_all": 10}) == {"prompt_computed": 10}
    assert kinds_of({"prompt_all": 10}, known={"prompt_cached"}) == {}
    assert kinds_of({"prompt_all": 3, "prompt_cached": 4})["prompt_computed"] == 0
    assert kinds_of({"prompt_computed": 5, "prompt_cached": 4})["prompt_computed"] == 5


@given(
    st.dictionaries(
        st.sampled_from([*TOKEN_KINDS, "prompt_all"]), st.integers(0, 2**63 - 1), max_size=5
    )
)
def test_kinds_are_the_contracts_and_never_negative(values: dict[Role, int]) -> None:
    kinds = kinds_of(values)
    assert set(kinds) <= set(TOKEN_KINDS)
    assert all(value >= 0 for value in kinds.values())
