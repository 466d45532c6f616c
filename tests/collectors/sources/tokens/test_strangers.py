"""Pages without token counters: what the operator reads."""

import pytest

from tokenergy_collectors.sources.tokens.endpoint import TokenEndpoint
from tokenergy_collectors.sources.tokens.settings import TokenSource
from tokenergy_collectors.sources.tokens.strangers import advice


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("", "the page is empty: it may have them after the first request"),
        ("# only a comment\n", "the page is empty"),
        ('litellm_output_tokens_metric_total{team="t"} 5\n', "this is LiteLLM"),
        ('DCGM_FI_DEV_POWER_USAGE{gpu="0"} 70\n', "this is dcgm-exporter"),
        ("node_load1 0.5\n", "this is node_exporter"),
        ("nv_inference_count 5\n", "this is Triton"),
        ("go_gc_duration_seconds 5\n", "name its counters in [tokens.mapping]"),
        ("# TYPE my_tokens_total counter\nmy_tokens_total 5\n# TYPE a_tokens gauge\n",
         "if one of my_tokens_total counts tokens, name it in [tokens.mapping]"),
    ],
)  # fmt: skip
def test_the_page_is_named_and_what_to_try(page: str, words: str, endpoint) -> None:
    assert words in advice(page)
    endpoint.body = page
    source = TokenSource(source_id="s", url=endpoint.url, job_id="j")
    watch = TokenEndpoint(source, "n", iter(range(1, 9)).__next__)
    assert watch.scrape() == []
    assert watch.failing == advice(page)


def test_many_names_are_cut() -> None:
    page = "".join(f"# TYPE x{n}_tokens counter\n" for n in range(1000))
    assert advice(page).count("_tokens") == 3
