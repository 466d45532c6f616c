"""What a page without token counters is, and what to try instead.

In: a page in Prometheus text. Out: one line for the operator.
"""

from __future__ import annotations

import re

_KNOWN = (
    ("litellm_", "LiteLLM, which splits the use of other servers by team: give those servers"),
    ("DCGM_FI_", "dcgm-exporter, which serves power: the daemon reads the boards itself"),
    ("nvidia_smi_", "an exporter of nvidia-smi: the daemon reads the boards itself"),
    ("nv_inference_", "Triton, which counts no tokens: give the page of its LLM backend"),
    ("dynamo_component_", "a Dynamo worker's own page: give its engine's page, or the frontend's"),
    ("ray_", "Ray without its LLM metrics: set log_engine_metrics in the LLM's configuration"),
    ("kube_", "kube-state-metrics"),
    ("prometheus_", "Prometheus itself: `tokenergy-collect import prometheus` reads what it holds"),
    ("node_", "node_exporter"),
)
"""Beginnings of names, what serves them, and what to do."""

_NAME = re.compile(r"^([a-zA-Z_:][\w:]*)", re.MULTILINE)
_COUNTER = re.compile(r"^# TYPE ([a-zA-Z_:][\w:]*tokens?[\w:]*) counter$", re.MULTILINE)
_SHOWN = 3


def advice(text: str) -> str:
    """Return what a page is that has no known token counter, and what to try."""
    nothing = "serves no known token counter"
    if counters := sorted(set(_COUNTER.findall(text)))[:_SHOWN]:
        names = ", ".join(counters)
        return f"{nothing}; if one of {names} counts tokens, name it in [tokens.mapping]"
    served = set(_NAME.findall(text))
    for beginning, what in _KNOWN:
        if any(name.startswith(beginning) for name in served):
            return f"{nothing}; this is {what}"
    if not served:
        return f"{nothing}; the page is empty: it may have them after the first request"
    return f"{nothing}; name its counters in [tokens.mapping]"
