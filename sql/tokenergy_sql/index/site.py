"""What the operator declares about the site: PUE and the power of a node beside its GPUs.

In: a TOML file. Out: two small tables for the models, `site` and `site_node`. What is known of
single cards stands in a file of its own: see `calibration.py`.

    [site]
    pue = 1.25          # facility energy over IT energy
    host_w = 900.0      # of one node: all that is not a GPU, its share of the network included
    [nodes.gpu-17]
    host_w = 1100.0     # another value for one node
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from tokenergy_collectors.base.strict import Strict, load_toml
from tokenergy_sql.index.calibration import Calibration, load_calibration

DEFAULT_NAME = "site.toml"
"""A site file of this name at the root of a lake is used when no other is named."""


class Declared(Strict):
    """Constants of the site; what is not given is not known."""

    name: str | None = None
    pue: float | None = Field(default=None, ge=1, le=10)
    host_w: float | None = Field(default=None, ge=0, le=1_000_000)


class NodeDeclared(Strict):
    """Constants of one node."""

    host_w: float = Field(ge=0, le=1_000_000)


class SiteFile(Strict):
    """The whole file."""

    site: Declared = Declared()
    nodes: dict[str, NodeDeclared] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Site:
    """The declared constants, in the units of the models, and what is known of single cards."""

    pue_ppm: int | None
    host_mw: int | None
    node_host_mw: dict[str, int]
    calibration: Calibration = ()

    def host_of(self, node: str) -> int | None:
        """Return the declared host power of a node in mW, if any."""
        return self.node_host_mw.get(node, self.host_mw)


def load_site(path: Path | None, lake_root: Path) -> Site:
    """Load the site file named by the user, or else the lake's own, or else nothing.

    The lake's calibration file, if there is one, is part of it.

    Raises:
        UserError: a file cannot be read or does not fit.
    """
    calibration = load_calibration(lake_root)
    if path is None:
        path = lake_root / DEFAULT_NAME
        if not path.exists():
            return Site(None, None, {}, calibration)
    file = load_toml(path, SiteFile)
    pue, host_w = file.site.pue, file.site.host_w
    return Site(
        pue_ppm=None if pue is None else round(pue * 1_000_000),
        host_mw=None if host_w is None else round(host_w * 1000),
        node_host_mw={name: round(node.host_w * 1000) for name, node in file.nodes.items()},
        calibration=calibration,
    )
