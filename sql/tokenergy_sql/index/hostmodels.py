"""The models of hosts that the site file declares: `tokenergy host-model` prints them.

In: the tables `[[host_model]]`. Out: models by node (empty: of all nodes), in the units of the
models, for all time and from an hour on.

    [[host_model]]
    nodes = ["gpu-{01..16}"]    # without it: all nodes that have none of their own
    from = 2026-02-01T00:00:00Z # without it: as any constant without a date
    base_w = 412.5              # an idle host
    per_cpu = 1.08              # of each watt of its processors
    per_gpu = 0.031             # of each watt of its boards
    below_w = 21.0              # what is measured is at most this far below the model
    above_w = 25.0              # and above it
    input_percent = 1.5         # how far that is off itself, of host and boards together
    cpu_w = [80.0, 610.0]       # what the model was learned from
    gpu_w = [450.0, 5600.0]
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from pydantic import Field, model_validator

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.strict import Strict
from tokenergy_sql.hosting.modelled import Model
from tokenergy_sql.places.dated import Names, misfit

HostModels = dict[str, dict[str, int]]
"""The figures of `Model` by name, by node; empty: of all nodes."""

Watts = Annotated[float, Field(ge=0, le=1_000_000)]
Range = Annotated[list[Watts], Field(min_length=2, max_length=2)]


class HostModelKeys(Strict):
    """A model of hosts."""

    nodes: Names | None = None
    start: datetime | None = Field(default=None, alias="from")
    base_w: Watts
    per_cpu: float = Field(default=0.0, ge=0, le=100)
    per_gpu: float = Field(default=0.0, ge=0, le=100)
    below_w: Watts
    above_w: Watts
    input_percent: float = Field(default=0.0, ge=0, le=100)
    cpu_w: Range | None = None
    gpu_w: Range

    @model_validator(mode="after")
    def _ranges(self) -> HostModelKeys:
        if self.per_cpu and self.cpu_w is None:
            raise misfit("cpu_w", "expected the watts of processors that per_cpu was learned from")
        for name, range_ in (("cpu_w", self.cpu_w), ("gpu_w", self.gpu_w)):
            if range_ is not None and range_[0] > range_[1]:
                raise misfit(name, "expected the smaller value first")
        return self

    def model(self) -> Model:
        """Return the model in the units of the books."""
        cpu_w, gpu_w = self.cpu_w or [0.0, 0.0], self.gpu_w
        return Model(
            base_mw=_thousandths(self.base_w),
            cpu_ppm=round(self.per_cpu * 1e6),
            gpu_ppm=round(self.per_gpu * 1e6),
            below_mw=_thousandths(self.below_w),
            above_mw=_thousandths(self.above_w),
            input_ppm=round(self.input_percent * 1e4),
            cpu_least_mw=_thousandths(cpu_w[0]),
            cpu_most_mw=_thousandths(cpu_w[1]),
            gpu_least_mw=_thousandths(gpu_w[0]),
            gpu_most_mw=_thousandths(gpu_w[1]),
        )


def _thousandths(value: float) -> int:
    return round(value * 1000)


def models_by_node(keys: Iterable[HostModelKeys], where: str) -> HostModels:
    """Return some models by node.

    Args:
        keys: those of one date.
        where: what messages call that.

    Raises:
        UserError: a node has two.
    """
    found: HostModels = {}
    for one in keys:
        for node in one.nodes or [""]:
            if node in found:
                whose = f"node {node!r}" if node else "all nodes"
                raise UserError(f"{where}: host_model: {whose}: two models; remove one of them")
            found[node] = one.model()._asdict()
    return dict(sorted(found.items()))
