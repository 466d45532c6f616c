"""Reads vLLM's page by a road of its own: the official parser, and no code of the product.

In: a page. Out: prompt tokens computed, prompt tokens cached and tokens generated, of each engine.
"""

from __future__ import annotations

from collections import Counter

from prometheus_client.parser import text_string_to_metric_families

SOURCES = {"local_compute": "computed", "local_cache_hit": "cached"}
KINDS = ("computed", "cached", "generated")

Counts = Counter[str]


def by_engine(text: str) -> dict[str, Counts]:
    """Return the counts of each engine of a page.

    A second counter of the page, all prompt tokens, is held against the parts where it stands
    still: in the middle of work the two are not updated together.
    """
    found: dict[str, Counts] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            engine = found.setdefault(sample.labels.get("engine", ""), Counter())
            if sample.name == "vllm:prompt_tokens_by_source_total":
                engine[SOURCES.get(sample.labels["source"], "external")] += int(sample.value)
            elif sample.name == "vllm:generation_tokens_total":
                engine["generated"] += int(sample.value)
            elif sample.name == "vllm:prompt_tokens_total":
                engine["prompts"] += int(sample.value)
    found.pop("", None)
    return found


def counts(text: str) -> Counts:
    """Return the counts of a page, its engines added."""
    total: Counts = Counter()
    for engine in by_engine(text).values():
        total.update(engine)
    return total


def grown(before: Counts, after: Counts) -> Counts:
    """Return what was counted between two pages of one life of the server."""
    kinds = (*KINDS, "external", "prompts")
    found = Counter({kind: after[kind] - before[kind] for kind in kinds})
    assert min(found.values()) >= 0, (before, after)
    return found
