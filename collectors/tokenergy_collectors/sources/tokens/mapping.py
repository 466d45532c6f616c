"""The keys of `[tokens.mapping]`: which counters of an unknown server count what.

In: names of metrics, by kind. Out: the counters to look for.
"""

from __future__ import annotations

import re
from typing import get_args

from pydantic import Field, field_validator

from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.sources.tokens.counters import (
    KNOWN,
    Counter,
    Counters,
    Role,
    labels_of,
)

_LABEL = r'\s*\w+\s*=\s*"[^"]*"\s*'
_METRIC = re.compile(rf"[a-zA-Z_:][\w:]*(\{{{_LABEL}(,{_LABEL})*\}})?")


class Mapping(Strict):
    """Metrics of a server that is not known, by what they count."""

    generated: str | None = Field(
        default=None,
        description="Tokens that the server generated.",
        examples=["my_output_tokens_total"],
    )
    prompt_all: str | None = Field(
        default=None,
        description="Tokens of all prompts, also those found in a cache.",
        examples=["my_prompt_tokens_total"],
    )
    prompt_computed: str | None = Field(
        default=None,
        description="Tokens of prompts that were computed; not together with prompt_all.",
        examples=['my_tokens_total{phase="prefill"}'],
    )
    prompt_cached: str | None = Field(
        default=None,
        description="Tokens of prompts that were found in the server's own cache.",
        examples=['my_tokens_total{phase="cache"}'],
    )
    prompt_external: str | None = Field(
        default=None,
        description="Tokens of prompts whose keys and values another server sent.",
        examples=['my_tokens_total{phase="received"}'],
    )
    trained: str | None = Field(
        default=None,
        description="Tokens that a training loop trained on.",
        examples=["my_trained_tokens_total"],
    )

    @field_validator("*")
    @classmethod
    def _is_a_metric(cls, name: str | None) -> str | None:
        if name is not None and not _METRIC.fullmatch(name):
            raise ValueError(
                f"{name!r} is no metric; expected a name, and perhaps labels: "
                'my_tokens_total{phase="decode"}'
            )
        return name

    @property
    def named(self) -> list[Counter]:
        """The counters that are named here."""
        roles: tuple[Role, ...] = get_args(Role)
        return [
            Counter("mapping", name.partition("{")[0], role, tuple(labels_of(name).items()))
            for role in roles
            if (name := getattr(self, role)) is not None
        ]

    @property
    def counters(self) -> Counters:
        """What to look for: the counters named here, or all known ones if none is."""
        return Counters(self.named, bare=False) if self.named else KNOWN
