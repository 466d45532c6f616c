"""The operator's declarations about the site: PUE, and the power of a node without its GPUs.

In: a TOML file. Out: constants for the models' tables `site` and `site_node`. Calibrations of
single cards are in a file of their own: see `calibration.py`.

    [site]
    pue = 1.25          # facility energy over IT energy
    host_w = 900.0      # of one node: everything but the GPUs, including its share of the network
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
"""Name of the site file at the root of a lake, used if no other file is named."""


class Declared(Strict):
    """Constants of the site; what is not given is unknown."""

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
    """The declared constants, in the units of the models, and the calibration of single cards."""

    pue_ppm: int | None
    host_mw: int | None
    node_host_mw: dict[str, int]
    calibration: Calibration = ()

    def host_of(self, node: str) -> int | None:
        """Return the declared host power of a node in mW, if any."""
        return self.node_host_mw.get(node, self.host_mw)


def load_site(path: Path | None, lake_root: Path) -> Site:
    """Load the site file named by the user, or else the lake's own, or else no constants.

    The lake's calibration file, if any, is loaded too.

    Raises:
        UserError: a file cannot be read or is invalid.
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
