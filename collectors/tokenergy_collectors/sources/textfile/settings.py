"""The configuration keys of the `textfile` source."""

from __future__ import annotations

from pydantic import Field

from tokenergy_collectors.base.strict import Strict


class Textfile(Strict):
    """A folder of *.prom files, as node_exporter's textfile collector reads them."""

    folder: str | None = Field(
        default=None,
        description="Folder with the files. Without this key no files are read.",
        examples=["/var/lib/node_exporter/textfile_collector"],
    )
    every_s: float = Field(
        default=15.0, ge=1.0, le=3600, description="Seconds between two looks at the folder."
    )
    stale_s: float = Field(
        default=300.0,
        ge=1.0,
        le=86_400,
        description="Seconds after which a file that was not rewritten counts as a failure.",
    )


class TextfileKeys(Strict):
    """Where the files are."""

    textfile: Textfile = Field(
        default=Textfile(),
        description=(
            "Host meters that scripts write into *.prom files. A metric whose name ends in _watts "
            "is a power; one that ends in _joules_total is an energy counter."
        ),
    )
