"""The settings of a node's place."""

from __future__ import annotations

from pydantic import Field

from tokenergy_collectors.base.strict import Strict


class Place(Strict):
    """Where the node stands."""

    site: str | None = Field(default=None, description="The site.", examples=["north"])
    hall: str | None = Field(default=None, description="The hall on the site.", examples=["h1"])
    pod: str | None = Field(default=None, description="The pod in the hall.", examples=["p3"])
    rack: str | None = Field(default=None, description="The rack.", examples=["r17"])
