"""The cumulative token counters of known servers, as data.

In: the name of a metric or of a CSV column. Out: the role of its counter. Every server counts
prompts in its own way; only this module knows how.

Sources, server by server:

- vLLM V1, `vllm/v1/metrics/loggers.py`: `prompt_tokens_by_source` (since February 2026) splits
  prompts into computed ones, hits of the own cache, and those whose keys and values another server
  sent. Before that, `prompt_tokens` includes cache hits, and `prompt_tokens_cached` is the part
  that came from a cache. Releases of 2025 do not have it: there the hits of the prefix cache,
  counted in tokens, are that part. `prompt_tokens_cached_by_source` counts them again;
  `iteration_tokens_total` is a histogram. Ray Serve LLM writes `ray_vllm_` for `vllm:`.
- SGLang, `srt/metrics/collector.py`: `realtime_tokens` moves with every batch and splits by the
  label `mode`; the other three move only when a request finishes, and its prompts include cache
  hits. Both families count the same tokens: `late` marks the one to use only without the other.
- llama.cpp, `tools/server`: `prompt_tokens` excludes cached tokens.
- TGI: the sums of two histograms, which move when a request finishes.
- TensorRT-LLM (newer releases) and LMDeploy: as vLLM, under names of their own.
- Dynamo, the frontend: sums of histograms, and a counter that moves with every token. They count
  what the workers count: see `FRONTENDS`.
- Our own: `tokenergy_trained_tokens_total`, for training loops.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Role = Literal[
    "prompt_all", "prompt_computed", "prompt_cached", "prompt_external", "generated", "trained"
]


@dataclass(frozen=True, slots=True)
class Counter:
    """One cumulative counter of one server."""

    server: str
    """Name of the server."""

    metric: str
    """Name of the metric, without `_total`."""

    role: Role
    """What it counts; `prompt_all` includes cache hits."""

    labels: tuple[tuple[str, str], ...] = ()
    """The labels, and their values, that a series must have for this role."""

    late: bool = False
    """True if another counter of the server counts the same tokens sooner."""

    choice: int = 0
    """Counters of one role are used in this order: a later one only where no earlier is served."""


_BY_SOURCE = "vllm:prompt_tokens_by_source"

COUNTERS = (
    Counter("vLLM", "vllm:prompt_tokens", "prompt_all"),
    Counter("vLLM", _BY_SOURCE, "prompt_computed", (("source", "local_compute"),)),
    Counter("vLLM", _BY_SOURCE, "prompt_cached", (("source", "local_cache_hit"),)),
    Counter("vLLM", _BY_SOURCE, "prompt_external", (("source", "external_kv_transfer"),)),
    Counter("vLLM", "vllm:prompt_tokens_cached", "prompt_cached", choice=1),
    Counter("vLLM", "vllm:prefix_cache_hits", "prompt_cached", choice=2),
    Counter("vLLM", "vllm:gpu_prefix_cache_hits", "prompt_cached", choice=3),
    Counter("vLLM", "vllm:generation_tokens", "generated"),
    Counter("SGLang", "sglang:realtime_tokens", "prompt_computed", (("mode", "prefill_compute"),)),
    Counter("SGLang", "sglang:realtime_tokens", "prompt_cached", (("mode", "prefill_cache"),)),
    Counter("SGLang", "sglang:realtime_tokens", "generated", (("mode", "decode"),)),
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
    Counter("Dynamo", "dynamo_frontend_input_sequence_tokens_sum", "prompt_all"),
    Counter("Dynamo", "dynamo_frontend_cached_tokens_sum", "prompt_cached"),
    Counter("Dynamo", "dynamo_frontend_output_tokens", "generated"),
    Counter("Dynamo", "dynamo_frontend_output_sequence_tokens_sum", "generated", choice=1),
    Counter("a training loop", "tokenergy_trained_tokens", "trained"),
)
"""Every known counter. For a name without a prefix, the first server here decides its meaning."""

REPLICA_LABELS = {
    "sglang": ("tp_rank", "pp_rank", "moe_ep_rank", "moe_dp_rank", "ep_rank", "attn_cp_rank"),
}
"""Labels of ranks that all count the same tokens, by the first word of the metric's name.

SGLang, `srt/managers/scheduler_metrics_mixin.py`: with metrics of all schedulers, each rank of a
model that is divided over boards reports the tokens of the whole model. Of such ranks the largest
count is taken. Series that differ in any other label (`dp_rank`, `engine`, `ReplicaId`, `pod`,
labels not known here) count tokens of their own and are added.
"""

FRONTENDS = ("dynamo_frontend", "gen_ai.client.")
"""How metrics of frontends and clients begin, which count what the workers behind them count.

Where a job has counters of workers in an hour, those of its frontends are left out there
(`models/token_usage.sql`).
"""

_NAMES_KEPT = 10_000
_LABELLED = re.compile(r"(?P<name>[^{}]+)\{(?P<labels>[^{}]*)\}")
_LABEL = re.compile(r'\s*(\w+)\s*=\s*"?([^",]*)"?\s*')


def plain(name: str) -> str:
    """Return a name with `_` for `:`, without Ray's prefix and without `_total`."""
    return name.strip().replace(":", "_").removeprefix("ray_").removesuffix("_total")


def _bare(metric: str) -> str:
    """Return the name of a metric without its server: `vllm:prompt_tokens` -> `prompt_tokens`."""
    return re.split("[:_]", metric, maxsplit=1)[1]


class Counters:
    """The counters that pages and columns are searched for.

    Args:
        counters: all of them.
        bare: whether a name without its server will do, as in a column of a file; one that several
            servers use belongs to the first of them.
    """

    def __init__(self, counters: Iterable[Counter], *, bare: bool) -> None:
        counters = list(counters)
        found: dict[str, list[Counter]] = {}
        for counter in counters:
            found.setdefault(plain(counter.metric), []).append(counter)
        for counter in counters if bare else ():
            found.setdefault(_bare(counter.metric), []).append(counter)
        self._by_name = {
            name: [c for c in of if c.server == of[0].server] for name, of in found.items()
        }
        self._has: dict[str, bool] = {}

    def of(self, name: str, labels: Mapping[str, str] | None = None) -> Counter | None:
        """Return the counter that a metric or a column is, or None: see `counter_of`."""
        if found := _LABELLED.fullmatch(name.strip()):
            labels = {**(labels or {}), **labels_of(name)}
            name = found["name"]
        for counter in self._by_name.get(plain(name), ()):
            if all((labels or {}).get(label) == value for label, value in counter.labels):
                return counter
        return None

    def has(self, name: str) -> bool:
        """Return whether a metric of this name is a counter with any labels."""
        # A page has hundreds of names, the same ones each time.
        if (found := self._has.get(name)) is None:
            found = plain(name) in self._by_name
            if len(self._has) < _NAMES_KEPT:
                self._has[name] = found
        return found


KNOWN = Counters(COUNTERS, bare=True)
"""The counters of `COUNTERS`, under all their names."""


def counter_of(name: str, labels: Mapping[str, str] | None = None) -> Counter | None:
    """Return the known counter that a metric or a column is, or None.

    Args:
        name: with or without `_total`, with `vllm:`, `vllm_`, `ray_vllm_` or no prefix; labels may
            follow in braces, as Prometheus writes them.
        labels: the labels of the series, if they are not part of the name.
    """
    return KNOWN.of(name, labels)


def labels_of(name: str) -> dict[str, str]:
    """Return the labels that a name holds in braces."""
    found = _LABELLED.fullmatch(name.strip())
    return dict(_LABEL.findall(found["labels"])) if found else {}


def role_of(name: str) -> Role | None:
    """Return the role of a metric or a column, or None if it is no known counter.

    A bare `prompt_tokens` has vLLM's meaning: it includes cache hits.
    """
    counter = counter_of(name)
    return None if counter is None else counter.role


def replica_labels(metric: str | None) -> tuple[str, ...]:
    """Return the labels of ranks that count the same tokens: see `REPLICA_LABELS`."""
    return REPLICA_LABELS.get(re.split("[:_]", metric or "", maxsplit=1)[0], ())
