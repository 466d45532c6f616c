"""The configuration keys of the `otlp` source."""

from __future__ import annotations

import re
from typing import get_args

from pydantic import Field, field_validator

from tokenergy_collectors.base.address import parse_loopback_port
from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.sources.tokens.counters import Role

_METRIC = re.compile(r'[A-Za-z][\w.:/-]{0,254}(\{[\w.:/-]+="[^"{}]*"\})?')


class Otlp(Strict):
    """An address of this host on which OpenTelemetry's token metrics are taken."""

    listen: str | None = Field(
        default=None,
        description="Loopback address and port for OTLP over HTTP. Without this key nothing "
        "listens.",
        examples=["127.0.0.1:4318"],
    )
    every_s: float = Field(
        default=5.0, ge=0.5, le=3600, description="Seconds between two rows of one count."
    )
    limit_kib: int = Field(
        default=1024,
        ge=16,
        le=16_384,
        description="Kibibytes above which a message is refused, also after it is unpacked.",
    )
    job_attributes: tuple[str, ...] = Field(
        default=("tokenergy.job_id",),
        strict=False,
        description="Resource attributes that name the sender's job; the first that is set counts.",
        examples=[["tokenergy.job_id", "k8s.pod.name"]],
    )
    jobs: dict[str, str] = Field(
        default={},
        description="Jobs of senders that name none, by their `service.name`.",
        examples=[{"chat-gateway": "chat-70b"}],
    )
    mapping: dict[str, str] = Field(
        default={},
        description="Further counters: what a metric counts (generated, prompt_all, "
        "prompt_computed, prompt_cached, prompt_external or trained), by its name; an attribute "
        "in braces picks some of its series.",
        examples=[{"my.tokens": "trained"}],
    )

    @field_validator("listen")
    @classmethod
    def _is_loopback(cls, listen: str | None) -> str | None:
        if listen is not None:
            parse_loopback_port(listen)
        return listen

    @field_validator("mapping")
    @classmethod
    def _is_mapping(cls, mapping: dict[str, str]) -> dict[str, str]:
        for name, role in mapping.items():
            if not _METRIC.fullmatch(name):
                raise ValueError(
                    f"{name!r} is no metric; expected a name, and perhaps one attribute: "
                    'my.tokens{phase="decode"}'
                )
            if role not in get_args(Role):
                raise ValueError(f"{name}: {role!r}: expected one of {', '.join(get_args(Role))}")
        return mapping


class OtlpKeys(Strict):
    """Where OTLP is taken."""

    otlp: Otlp = Field(
        default=Otlp(),
        description="Token metrics that programs push by OpenTelemetry's protocol: see "
        "docs/otel.md.",
    )
