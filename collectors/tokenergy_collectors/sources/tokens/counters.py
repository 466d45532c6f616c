"""The cumulative token counters of known servers, as data.

In: the name of a metric or of a CSV column. Out: the role of its counter, and from the roles read
at one instant the kinds of the contract. Every server counts prompts in its own way; only this
module knows how.

Sources, server by server:

- vLLM V1, `vllm/v1/metrics/loggers.py`: `prompt_tokens` includes cache hits; `prompt_tokens_cached`
  is the part that came from the cache. `prompt_tokens_by_source` counts the same tokens again and
  is left out. `iteration_tokens_total` is a histogram. Ray Serve writes `ray_vllm_` for `vllm:`.
- SGLang, `srt/metrics/collector.py`: `realtime_tokens` moves with every batch and splits by the
  label `mode`; the other three move only when a request finishes, and its prompts include cache
  hits. Both families count the same tokens: `late` marks the one to use only without the other.
- llama.cpp, `tools/server`: `prompt_tokens` excludes cached tokens.
- TGI: the sums of two histograms, which move when a request finishes.
- TensorRT-LLM (newer releases) and LMDeploy: as vLLM, under names of their own.
- Our own: `tokenergy_trained_tokens_total`, for training loops.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

Role = Literal["prompt_all", "prompt_computed", "prompt_cached", "generated", "trained"]


@dataclass(frozen=True, slots=True)
class Counter:
    """One cumulative counter of one server."""

    server: str
    """Name of the server."""

    metric: str
    """Name of the metric, without `_total`."""

    role: Role
    """What it counts; `prompt_all` includes cache hits."""

    label: tuple[str, str] | None = None
    """The label, and its value, that a series must have for this role."""

    late: bool = False
    """True if another counter of the server counts the same tokens sooner."""


COUNTERS = (
    Counter("vLLM", "vllm:prompt_tokens", "prompt_all"),
    Counter("vLLM", "vllm:prompt_tokens_cached", "prompt_cached"),
    Counter("vLLM", "vllm:generation_tokens", "generated"),
    Counter("SGLang", "sglang:realtime_tokens", "prompt_computed", ("mode", "prefill_compute")),
    Counter("SGLang", "sglang:realtime_tokens", "prompt_cached", ("mode", "prefill_cache")),
    Counter("SGLang", "sglang:realtime_tokens", "generated", ("mode", "decode")),
    Counter("SGLang", "sglang:prompt_tokens", "prompt_all", late=True),
    Counter("SGLang", "sglang:cached_tokens", "prompt_cached", late=True),
    Counter("SGLang", "sglang:generation_tokens", "generated", late=True),
    Counter("llama.cpp", "llamacpp:prompt_tokens", "prompt_computed"),
    Counter("llama.cpp", "llamacpp:prompt_tokens_cached", "prompt_cached"),
    Counter("llama.cpp", "llamacpp:tokens_predicted", "generated"),
    Counter("TGI", "tgi_request_input_length_sum", "prompt_all"),
    Counter("TGI", "tgi_request_generated_tokens_sum", "generated"),
    Counter("TensorRT-LLM", "trtllm_prompt_tokens", "prompt_all"),
    Counter("TensorRT-LLM", "trtllm_prompt_cached_tokens", "prompt_cached"),
    Counter("TensorRT-LLM", "trtllm_generation_tokens", "generated"),
    Counter("LMDeploy", "lmdeploy:prompt_tokens", "prompt_all"),
    Counter("LMDeploy", "lmdeploy:cached_tokens", "prompt_cached"),
    Counter("LMDeploy", "lmdeploy:generation_tokens", "generated"),
    Counter("a training loop", "tokenergy_trained_tokens", "trained"),
)
"""Every known counter. For a name without a prefix, the first server here decides its meaning."""

_LABELLED = re.compile(r"(?P<name>[^{}]+)\{(?P<labels>[^{}]*)\}")
_LABEL = re.compile(r'\s*(\w+)\s*=\s*"?([^",]*)"?\s*')


def _plain(name: str) -> str:
    """Return a name with `_` for `:`, without Ray's prefix and without `_total`."""
    return name.strip().replace(":", "_").removeprefix("ray_").removesuffix("_total")


def _bare(metric: str) -> str:
    """Return the name of a metric without its server: `vllm:prompt_tokens` -> `prompt_tokens`."""
    return re.split("[:_]", metric, maxsplit=1)[1]


def _tabulate() -> dict[str, list[Counter]]:
    table: dict[str, list[Counter]] = {}
    for counter in COUNTERS:
        table.setdefault(_plain(counter.metric), []).append(counter)
    for counter in COUNTERS:
        table.setdefault(_bare(counter.metric), []).append(counter)
    # A bare name that several servers use belongs to the first of them.
    return {
        name: [c for c in found if c.server == found[0].server] for name, found in table.items()
    }


_BY_NAME = _tabulate()


def counter_of(name: str, labels: Mapping[str, str] | None = None) -> Counter | None:
    """Return the known counter that a metric or a column is, or None.

    Args:
        name: with or without `_total`, with `vllm:`, `vllm_`, `ray_vllm_` or no prefix; labels may
            follow in braces, as Prometheus writes them.
        labels: the labels of the series, if they are not part of the name.
    """
    if found := _LABELLED.fullmatch(name.strip()):
        name = found["name"]
        labels = {**(labels or {}), **dict(_LABEL.findall(found["labels"]))}
    for counter in _BY_NAME.get(_plain(name), ()):
        if counter.label is None or (labels or {}).get(counter.label[0]) == counter.label[1]:
            return counter
    return None


def role_of(name: str) -> Role | None:
    """Return the role of a metric or a column, or None if it is no known counter.

    A bare `prompt_tokens` has vLLM's meaning: it includes cache hits.
    """
    counter = counter_of(name)
    return None if counter is None else counter.role


def kinds_of(values: Mapping[Role, int], known: Collection[Role] = ()) -> dict[str, int]:
    """Return the kinds of the contract from what one engine counted until one instant.

    Computed prompt tokens are all prompt tokens minus the cached ones, never negative. If the
    source reports no cache, they are all prompt tokens.

    Args:
        values: tokens by role.
        known: roles that the source has reported at any time. If it has reported cached tokens, a
            total without them is left out, since its computed part is unknown.
    """
    kinds: dict[str, int] = {role: n for role, n in values.items() if role != "prompt_all"}
    total, cached = values.get("prompt_all"), values.get("prompt_cached")
    if "prompt_computed" in kinds or total is None:
        return kinds
    if cached is not None or "prompt_cached" not in known:
        kinds["prompt_computed"] = max(0, total - (cached or 0))
    return kinds
