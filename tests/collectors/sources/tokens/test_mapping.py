"""`[tokens.mapping]`: counters of a server that nobody knows."""

import pytest
from pydantic import ValidationError

from tokenergy_collectors.sources.tokens.counters import KNOWN
from tokenergy_collectors.sources.tokens.endpoint import TokenEndpoint
from tokenergy_collectors.sources.tokens.findings import endpoint_finding
from tokenergy_collectors.sources.tokens.kinds import values_of
from tokenergy_collectors.sources.tokens.mapping import Mapping
from tokenergy_collectors.sources.tokens.page import parse
from tokenergy_collectors.sources.tokens.scrape import ScrapeError
from tokenergy_collectors.sources.tokens.settings import TokenSource

PAGE = """\
# TYPE my_tokens_total counter
my_tokens_total{phase="prefill",model="m"} 100
my_tokens_total{phase="decode",model="m"} 20
my_tokens_total{phase="draft",model="m"} 7
# TYPE my_other gauge
my_other 3
vllm:generation_tokens_total 9
"""


def kinds(mapping: Mapping, page: str = PAGE) -> dict[str, int]:
    return {v.kind: v.value for v in values_of(parse(page, counters=mapping.counters))}


def test_names_and_labels_pick_series_in_place_of_all_known_ones() -> None:
    named = Mapping(
        generated='my_tokens_total{phase="decode"}',
        prompt_all='my_tokens_total{ phase = "prefill" , model="m"}',
    )
    assert kinds(named) == {"generated": 20, "prompt_computed": 100}
    every = parse(PAGE, counters=Mapping(trained="my_tokens").counters)
    assert [one.value for one in every] == [100, 20, 7]
    assert Mapping().counters is KNOWN
    assert kinds(Mapping()) == {"generated": 9}


def test_a_gauge_is_no_counter() -> None:
    with pytest.raises(ScrapeError, match="my_other is a gauge: expected a counter"):
        parse(PAGE, counters=Mapping(generated="my_other").counters)


@pytest.mark.parametrize("name", ["", "1x", "a b", "x{", "x{a=1}", 'x{a="b"', "x{}", "x\n"])
def test_what_is_no_metric_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="is no metric; expected a name"):
        Mapping(generated=name)


def test_an_endpoint_with_a_mapping(endpoint) -> None:
    endpoint.body = PAGE
    source = TokenSource(
        source_id="own", url=endpoint.url, job_id="j",
        mapping=Mapping(generated='my_tokens_total{phase="decode"}'),
    )  # fmt: skip
    rows = TokenEndpoint(source, "n", iter(range(1, 9)).__next__).scrape()
    assert len(rows) == 1
    found = endpoint_finding(source)
    said = found.text.partition(": ")[2]
    assert (found.level, said) == ("ok", "mapping; generated; 1 engine; no requests")
