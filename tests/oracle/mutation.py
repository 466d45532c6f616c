"""What a mutation of the tool is: one broken rule."""

from __future__ import annotations

from dataclasses import dataclass

MODELS = "sql/tokenergy_sql/index/models"
LAKE = "collectors/tokenergy_collectors/lake"
BOOKING = "transforms/tokenergy_transforms/booking"


@dataclass(frozen=True)
class Mutation:
    """One broken rule.

    Attributes:
        name: the rule as broken.
        file: the file of the tool.
        old, new: a text in it, and what replaces it.
        having: the kind of staging that histories must have to show it; empty: any.
        kinds: what may be staged.
    """

    name: str
    file: str
    old: str
    new: str
    having: str = ""
    more: str = ""

    @property
    def kinds(self) -> str:
        """What may be staged in its histories."""
        names = ("errs", "jitter", "edge_reads", "by_index", self.having, *self.more.split(","))
        return ",".join(name for name in names if name)
