"""The request counters and latency histograms of known servers, as data.

In: the name of a metric on a page. Out: what it counts.

Sources, server by server:

- vLLM V1, `vllm/v1/metrics/loggers.py`: `request_success` by `finished_reason`; with n = 2 each of
  the two answers counts. `request_time_per_output_token_seconds` has one value a request.
  `inter_token_latency_seconds` (and `time_per_output_token_seconds` before it) has one a token: it
  says nothing of requests, and is not read. Ray Serve LLM writes `ray_vllm_` for `vllm:`.
- SGLang, `srt/metrics/collector.py`: finished and aborted requests are two counters of the
  tokenizer's process, so no rank counts them again. The mean time per output token of a request
  is in newer releases only.
- TGI, `router/src/infer`: no time to first token. Its mean time per token includes the prompt's.
- TensorRT-LLM, `tensorrt_llm/metrics/collector.py`: as vLLM; every histogram by request.
- LMDeploy, `lmdeploy/metrics/loggers.py`: its time per output token is not one of a request.
- Dynamo, the frontend: `requests` by `status`.
- llama.cpp counts no requests.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tokenergy_collectors.sources.tokens.counters import plain

RequestKind = Literal["finished", "ttft", "tpot", "e2e"]

_PARTS = ("_bucket", "_sum")


@dataclass(frozen=True, slots=True)
class RequestMetric:
    """One request counter, or one histogram of requests by latency, of one server."""

    server: str
    """Name of the server."""

    metric: str
    """Name of the metric, without `_total`, `_bucket` and `_sum`."""

    kind: RequestKind
    """What it counts: see the table `requests`."""

    label: str = "le"
    """The label that tells the counts of one row apart; no such label: one count."""

    reason: str = ""
    """The finish reason where no label says it; else it goes before that label's value."""


REQUESTS = (
    RequestMetric("vLLM", "vllm:request_success", "finished", "finished_reason"),
    RequestMetric("vLLM", "vllm:time_to_first_token_seconds", "ttft"),
    RequestMetric("vLLM", "vllm:request_time_per_output_token_seconds", "tpot"),
    RequestMetric("vLLM", "vllm:e2e_request_latency_seconds", "e2e"),
    RequestMetric("SGLang", "sglang:num_requests", "finished", "", "finished"),
    RequestMetric("SGLang", "sglang:num_aborted_requests", "finished", "", "abort"),
    RequestMetric("SGLang", "sglang:time_to_first_token_seconds", "ttft"),
    RequestMetric("SGLang", "sglang:request_time_per_output_token_seconds", "tpot"),
    RequestMetric("SGLang", "sglang:e2e_request_latency_seconds", "e2e"),
    RequestMetric("TGI", "tgi_request_success", "finished", "", "success"),
    RequestMetric("TGI", "tgi_request_failure", "finished", "err", "error "),
    RequestMetric("TGI", "tgi_request_mean_time_per_token_duration", "tpot"),
    RequestMetric("TGI", "tgi_request_duration", "e2e"),
    RequestMetric("TensorRT-LLM", "trtllm_request_success", "finished", "finished_reason"),
    RequestMetric("TensorRT-LLM", "trtllm_time_to_first_token_seconds", "ttft"),
    RequestMetric("TensorRT-LLM", "trtllm_time_per_output_token_seconds", "tpot"),
    RequestMetric("TensorRT-LLM", "trtllm_e2e_request_latency_seconds", "e2e"),
    RequestMetric("LMDeploy", "lmdeploy:request_success", "finished", "finished_reason"),
    RequestMetric("LMDeploy", "lmdeploy:time_to_first_token_seconds", "ttft"),
    RequestMetric("LMDeploy", "lmdeploy:e2e_request_latency_seconds", "e2e"),
    RequestMetric("Dynamo", "dynamo_frontend_requests", "finished", "status"),
    RequestMetric("Dynamo", "dynamo_frontend_time_to_first_token_seconds", "ttft"),
    RequestMetric("Dynamo", "dynamo_frontend_request_duration_seconds", "e2e"),
)
"""Every known one."""


def _names(metrics: Iterable[RequestMetric]) -> dict[str, tuple[RequestMetric, str]]:
    """Return the metrics by the names of their samples, with the part that a sample is."""
    found = {}
    for one in metrics:
        for part in ("",) if one.kind == "finished" else _PARTS:
            found[plain(one.metric) + part] = one, part
    return found


_BY_NAME = _names(REQUESTS)


def request_metric(name: str) -> tuple[RequestMetric, str] | None:
    """Return the metric that a sample belongs to, and which part of it; None if it is not known.

    Args:
        name: of the sample, as served: `vllm:e2e_request_latency_seconds_bucket` is `_bucket` of
            a histogram; a counter has no part.
    """
    return _BY_NAME.get(plain(name))
