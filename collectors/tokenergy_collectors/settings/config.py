"""The collector's configuration: a TOML file, checked key by key.

In: a file. Out: a `Config`; an unknown key or a bad value is one line that names it. Keys of the
collector itself are here; each source brings its own, and `Config` is put together from both. Every
key says what it means: `tokenergy-collect config --example` prints that. Units end the names: `_s`
seconds, `_hz` a second, `_mib` mebibytes.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

from pydantic import Field, create_model, field_validator

from tokenergy_collectors.base.address import parse_listen
from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.registry import SOURCES
from tokenergy_collectors.upload.settings import Upload

Keys = TypeVar("Keys", bound=Strict)


class Metrics(Strict):
    """The Prometheus endpoint of this collector."""

    listen: str | None = Field(
        default=None,
        description=(
            "Serve metrics at this address: a loopback address, or unix: and the path of a socket. "
            "Without this key nothing is served."
        ),
        examples=["127.0.0.1:9465"],
    )
    stale_s: float = Field(
        default=2.0,
        ge=0.5,
        le=600,
        description=(
            "Seconds after which a power reading is too old to be shown; at least three of the "
            "board's update periods are always allowed."
        ),
    )

    @field_validator("listen")
    @classmethod
    def _only_this_host(cls, listen: str | None) -> str | None:
        if listen is not None:
            parse_listen(listen)
        return listen


class Disk(Strict):
    """Limits on what this node's files take on the local disk; without a key there is no limit."""

    renamed: ClassVar[dict[str, str]] = {"limit_mb": "limit_mib"}

    limit_mib: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description=(
            "Mebibytes that this node's sealed files and logs may take. Above that the collector "
            "removes uploaded files first, then the oldest gauges, then the oldest readings."
        ),
        examples=[20_000],
    )
    keep_days: float | None = Field(
        default=None,
        gt=0,
        le=36_500,
        description=(
            "Days after which readings, gauges and tokens are removed, counted from when they "
            "were sealed, whether they were uploaded or not."
        ),
        examples=[30.0],
    )


class CollectorKeys(Strict):
    """The keys of the collector itself, without those of its sources."""

    renamed: ClassVar[dict[str, str]] = {"wal_limit_mb": "wal_limit_mib"}

    lake: str = Field(
        min_length=1, description="Lake folder.", examples=["/var/lib/tokenergy/lake"]
    )
    node: str = Field(
        default_factory=socket.gethostname,
        min_length=1,
        description="Name of this host in the tables; without this key, its host name.",
        examples=["gpu-01"],
    )
    roll_s: float = Field(
        default=300.0,
        ge=1,
        le=3600,
        description="Seconds after which the collector seals what it has read into files.",
    )
    wal_flush_s: float = Field(
        default=0.5,
        ge=0.1,
        le=60,
        description="Seconds between two writes to the log: at most what a SIGKILL loses.",
    )
    wal_fsync_s: float = Field(
        default=5.0,
        ge=0.1,
        le=3600,
        description="Seconds between two syncs of the log to disk: at most what a power cut loses.",
    )
    wal_limit_mib: int = Field(
        default=1024,
        ge=1,
        le=1_000_000,
        description="Mebibytes that logs may take while the lake cannot be written.",
    )
    log_format: Literal["text", "json"] = Field(
        default="text",
        description="Format of the log on standard error: one line an event, logfmt or JSON.",
    )
    metrics: Metrics = Field(default=Metrics(), description="The Prometheus endpoint.")
    upload: Upload = Field(default=Upload(), description="Where sealed files are uploaded to.")
    disk: Disk = Field(default=Disk(), description="Limits on the local disk.")


if TYPE_CHECKING:
    # The keys of a source are known to its own type alone: see `keys_of`.
    Config = CollectorKeys
else:
    _KEYS = [source.keys for source in SOURCES.values() if source.keys is not Strict]
    # Pydantic lists the keys of the last base first: the collector's own lead the example, and
    # those of the boards follow, which are the last source.
    Config = create_model("Config", __base__=(*_KEYS, CollectorKeys), __module__=__name__)
    Config.__doc__ = "Everything that can be configured: the collector and its sources."


def keys_of(config: CollectorKeys, keys: type[Keys]) -> Keys:
    """Return a configuration as one source sees it.

    Raises:
        TypeError: the configuration does not have the keys: the source is not in the registry.
    """
    if not isinstance(config, keys):
        raise TypeError(f"the configuration has no {keys.__name__}")
    return config
