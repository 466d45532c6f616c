"""Pages as servers write them: series by series, and the kinds of the contract from them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenergy_collectors.sources.tokens.kinds import preferred, values_of
from tokenergy_collectors.sources.tokens.page import parse
from tokenergy_collectors.sources.tokens.scrape import ScrapeError

VLLM = """\
# HELP vllm:prompt_tokens_total Number of prefill tokens processed.
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{engine="0",model_name="m-8b"} 1000.0
vllm:prompt_tokens_total{engine="1",model_name="m-8b"} 500.0
# TYPE vllm:prompt_tokens_created gauge
vllm:prompt_tokens_created{engine="0",model_name="m-8b"} 1.7e+09
vllm:prompt_tokens_cached_total{engine="0",model_name="m-8b"} 400.0
vllm:prompt_tokens_by_source_total{engine="0",model_name="m-8b",source="local_compute"} 600.0
vllm:generation_tokens_total{engine="0",model_name="m-8b"} 70.0
vllm:generation_tokens_created{engine="0",model_name="m-8b"} 1.7e+09
vllm:iteration_tokens_total_bucket{engine="0",le="1.0",model_name="m-8b"} 3.0
vllm:iteration_tokens_total_sum{engine="0",model_name="m-8b"} 3.0
vllm:iteration_tokens_total_count{engine="0",model_name="m-8b"} 3.0
process_start_time_seconds 1.7684640005e+09
"""


def roles(text):
    """Values by model, engine and role; series of one role are listed apart."""
    found = {}
    for one in preferred(parse(text)):
        found.setdefault((one.model, one.engine), {}).setdefault(one.counter.role, []).append(
            one.value
        )
    return {
        engine: {role: v[0] if len(v) == 1 else v for role, v in of.items()}
        for engine, of in found.items()
    }


def values(text):
    """Values of the contract by kind, metric and series."""
    found = values_of(preferred(parse(text)))
    return {(v.kind, v.metric, v.series): v.value for v in found}


def test_vllm_engines_apart():
    found = parse(VLLM)
    assert roles(VLLM) == {
        ("m-8b", "0"): {
            "prompt_all": 1000,
            "prompt_computed": 600,
            "prompt_cached": 400,
            "generated": 70,
        },
        ("m-8b", "1"): {"prompt_all": 500},
    }
    assert {s.since_us for s in found} == {1_768_464_000_500_000}


def test_sglang_lively_counters_are_preferred_and_late_ones_taken_alone():
    late = 'sglang:prompt_tokens_total{model_name="m"} 9\nsglang:generation_tokens_total 8\n'
    lively = "".join(
        f'sglang:realtime_tokens_total{{mode="{mode}",model_name="m"}} {value}\n'
        for mode, value in (("prefill_compute", 5), ("prefill_cache", 4), ("decode", 3), ("x", 99))
    )
    assert roles(late + lively)["m", ""] == {
        "prompt_computed": 5, "prompt_cached": 4, "generated": 3,
    }  # fmt: skip
    assert roles(late) == {("m", ""): {"prompt_all": 9}, (None, ""): {"generated": 8}}


def test_llama_cpp_tgi_ray_and_our_own():
    assert roles(
        "llamacpp:prompt_tokens_total 10\nllamacpp:prompt_tokens_cached_total 3\n"
        "llamacpp:tokens_predicted_total 7\nllamacpp:prompt_tokens_seconds 4.5\n"
    ) == {(None, ""): {"prompt_computed": 10, "prompt_cached": 3, "generated": 7}}
    assert roles(
        'tgi_request_input_length_bucket{le="1"} 1\ntgi_request_input_length_sum 21\n'
        "tgi_request_input_length_count 3\ntgi_request_generated_tokens_sum 5\n"
    ) == {(None, ""): {"prompt_all": 21, "generated": 5}}
    assert roles('ray_vllm_generation_tokens_total{model_name="m"} 6\n') == {
        ("m", ""): {"generated": 6}
    }
    assert roles('tokenergy_trained_tokens_total{model="m"} 1e6\n') == {
        ("m", ""): {"trained": 1_000_000}
    }


def test_ranks_of_one_engine_stay_apart():
    text = 'vllm:generation_tokens_total{rank="0"} 5\nvllm:generation_tokens_total{rank="1"} 6\n'
    assert roles(text) == {(None, ""): {"generated": [5, 6]}}


@pytest.mark.parametrize("model", ["a{b}", 'say \\"hi\\"', "a}b{", "a,b=c", "#x", "日本"])
def test_any_model_name_is_read(model):
    [found] = parse(f'vllm:generation_tokens_total{{model_name="{model}"}} 5\n')
    assert found.model == model.replace('\\"', '"')
    assert (found.counter.role, found.value) == ("generated", 5)


def test_other_series_are_not_even_parsed():
    assert parse("this is } not { prometheus\nvllm:num_requests_running broken\n\n  \n{}\n") == []
    [found] = parse("gar bage }{ 5 5 5\nvllm:generation_tokens_total\t5\n")
    assert (found.counter.role, found.value) == ("generated", 5)


@pytest.mark.parametrize(
    "value", ["NaN", "+Inf", "-Inf", "-1", "1e30", "9223372036854775808", "x", ""]
)
def test_values_that_are_no_counts_are_told(value):
    with pytest.raises(ScrapeError):
        parse(f"vllm:generation_tokens_total {value}\n")
    with pytest.raises(ScrapeError):
        parse(f"vllm:generation_tokens_total 1\nprocess_start_time_seconds {value}\n")


@given(st.text(alphabet='{}",=\\ \t\n#0159eE+-.NaInfx_:', max_size=40))
def test_garbage_after_a_known_name_is_read_or_told(garbage):
    with suppress(ScrapeError):
        parse(f"vllm:generation_tokens_total{garbage}\nsglang:realtime_tokens{garbage}\n")


def test_computed_prompts_are_a_difference_of_two_series():
    text = "".join(
        f'vllm:prompt_tokens_total{{engine="{e}"}} {n}\n'
        f'vllm:prompt_tokens_cached_total{{engine="{e}"}} {n // 2}\n'
        for e, n in ((0, 100), (1, 60))
    )
    both = "vllm:prompt_tokens_total - vllm:prompt_tokens_cached_total"
    assert {key: n for key, n in values(text).items() if key[0] == "prompt_computed"} == {
        ("prompt_computed", both, '{"engine":"0"}'): 50,
        ("prompt_computed", both, '{"engine":"1"}'): 30,
    }


def test_a_cached_part_with_a_label_more_is_added_over_it():
    text = (
        'sglang:prompt_tokens_total{tp_rank="0"} 100\n'
        'sglang:cached_tokens_total{cache_source="device",tp_rank="0"} 30\n'
        'sglang:cached_tokens_total{cache_source="host",tp_rank="0"} 20\n'
    )
    found = values(text)
    assert [n for (kind, *_), n in found.items() if kind == "prompt_computed"] == [50]
    assert sum(n for (kind, *_), n in found.items() if kind == "prompt_cached") == 50


def test_old_and_new_names_are_subtracted_as_they_are_spelled():
    text = "".join(
        f"sglang{mark}{name}_total {n}\n"
        for mark in (":", "_")
        for name, n in (("prompt_tokens", 100), ("cached_tokens", 40))
    )
    found = {m: n for (kind, m, _), n in values(text).items() if kind == "prompt_computed"}
    assert found == {
        "sglang:prompt_tokens_total - sglang:cached_tokens_total": 60,
        "sglang_prompt_tokens_total - sglang_cached_tokens_total": 60,
    }


def test_prefix_cache_hits_stand_in_for_a_missing_counter_of_cached_tokens():
    text = (
        "vllm:gpu_prefix_cache_hits_total 890\nvllm:prefix_cache_hits_total 900\n"
        "vllm:prompt_tokens_total 1000\n"
    )
    assert {kind: n for (kind, *_), n in values(text).items()} == {
        "prompt_computed": 100, "prompt_cached": 900,
    }  # fmt: skip
    text += "vllm:prompt_tokens_cached_total 910\n"
    assert {kind: n for (kind, *_), n in values(text).items()} == {
        "prompt_computed": 90, "prompt_cached": 910,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "quantum"),
    [
        ("llamacpp:tokens_predicted_total 1.23456e+09\n", 10_000),
        ("llamacpp:tokens_predicted_total 1.2e+06\n", 10),
        ("llamacpp:tokens_predicted_total 1234560000\n", 1),
        ("llamacpp:tokens_predicted_total 999999\n", 1),
        ("vllm:generation_tokens_total 1.2345678e+09\n", 1),
        ("vllm:generation_tokens_total 1.2345e+09\nother_total 1.2345678e+09\n", 1),
    ],
)
def test_a_rounded_value_says_in_which_steps(lines, quantum):
    [found] = parse(lines)
    assert found.quantum == quantum


@pytest.mark.parametrize("turn", [1, -1])
def test_of_several_processes_a_series_has_the_start_whose_labels_it_has(turn):
    starts = [
        'process_start_time_seconds{process="api"} 100\n',
        'process_start_time_seconds{process="engine"} 200\n',
    ][::turn]
    [found] = parse("".join(starts) + "vllm:generation_tokens_total 5\n")
    assert found.since_us is None
    [found] = parse("".join(starts) + 'vllm:generation_tokens_total{process="engine",a="b"} 5\n')
    assert found.since_us == 200_000_000
