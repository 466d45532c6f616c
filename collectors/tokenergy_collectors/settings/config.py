"""The collector's configuration: a TOML file, checked key by key.

In: a file. Out: a `Config`; an unknown key or a bad value is an error of one line that names the
key. The collector's own keys are here; each source adds its own. `tokenergy-collect config
--example` prints the description of every key. Units end the names: `_s` seconds, `_hz` per second,
`_mib` mebibytes.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

from pydantic import Field, create_model, field_validator, model_validator

from tokenergy_collectors.base.address import parse_listen, refuse_credentials
from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.lake.jobkey import checked_cluster
from tokenergy_collectors.registry import SOURCES
from tokenergy_collectors.sources.meters.settings import refuse_shared
from tokenergy_collectors.sources.meters.source import MeterSource
from tokenergy_collectors.upload.settings import Upload

Keys = TypeVar("Keys", bound=Strict)


class Metrics(Strict):
    """The Prometheus endpoint of this collector."""

    listen: str | None = Field(
        default=None,
        description=(
            "Serve metrics at this address: a loopback address with a port, or unix: followed by "
            "the path of a socket. Without this key no metrics are served."
        ),
        examples=["127.0.0.1:9465"],
    )
    stale_s: float = Field(
        default=2.0,
        ge=0.5,
        le=600,
        description=(
            "Seconds after which a power reading is too old to be shown. If three update periods "
            "of the board take longer than this, they are the limit instead."
        ),
    )

    @field_validator("listen")
    @classmethod
    def _only_this_host(cls, listen: str | None) -> str | None:
        if listen is not None:
            parse_listen(listen)
        return listen


class Otel(Strict):
    """Where the figures of the metrics page are pushed by OpenTelemetry's protocol."""

    endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="Address to push to, with its path (OTLP over HTTP). Without this key nothing "
        "is pushed.",
        examples=["http://127.0.0.1:4318/v1/metrics"],
    )
    headers_file: Path | None = Field(
        default=None,
        strict=False,
        description="File with HTTP headers of each push, such as a key: a line `Name: value` "
        "for each.",
        examples=["/etc/tokenergy/otel.headers"],
    )
    every_s: float = Field(default=15.0, ge=1, le=3600, description="Seconds between two pushes.")
    timeout_s: float = Field(
        default=5.0, ge=0.5, le=60, description="Seconds that a push may take."
    )

    @field_validator("endpoint")
    @classmethod
    def _no_credentials(cls, endpoint: str | None) -> str | None:
        if endpoint is not None:
            refuse_credentials(endpoint, "an address without them; keys belong into headers_file")
        return endpoint


class Disk(Strict):
    """Limits on the space of this node's files on the local disk; no key, no limit."""

    renamed: ClassVar[dict[str, str]] = {"limit_mb": "limit_mib"}

    limit_mib: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description=(
            "Mebibytes that this node's sealed files and logs may take. Above this limit the "
            "collector removes files that are uploaded, then the oldest gauges, then the oldest "
            "readings."
        ),
        examples=[20_000],
    )
    keep_days: float | None = Field(
        default=None,
        gt=0,
        le=36_500,
        description=(
            "Days after sealing at which the collector removes readings, gauges and tokens, "
            "uploaded or not."
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
        description="Name of this node in the tables. Without this key: the host name.",
        examples=["gpu-01"],
    )
    roll_s: float = Field(
        default=300.0,
        ge=1,
        le=3600,
        description="Seconds between two seals: what was read since the last one becomes files.",
    )
    wal_flush_s: float = Field(
        default=0.5,
        ge=0.1,
        le=60,
        description="Seconds between two writes to the log; a SIGKILL loses at most this much.",
    )
    wal_fsync_s: float = Field(
        default=5.0,
        ge=0.1,
        le=3600,
        description="Seconds between two syncs of the log to disk; a power cut loses at most that.",
    )
    wal_limit_mib: int = Field(
        default=1024,
        ge=1,
        le=1_000_000,
        description="Mebibytes that the logs may take while the lake cannot be written.",
    )
    log_format: Literal["text", "json"] = Field(
        default="text",
        description="Format of the log on standard error, one line per event: logfmt or JSON.",
    )
    cluster: str | None = Field(
        default=None,
        description=(
            "Cluster or scheduler whose job ids these are. A job is then CLUSTER/ID everywhere, "
            "so that job 17 of two clusters are two jobs. One cluster alone needs no name."
        ),
        examples=["hpc-a"],
    )
    metrics: Metrics = Field(default=Metrics(), description="The Prometheus endpoint.")
    otel: Otel = Field(
        default=Otel(), description="Push of the same metrics to OpenTelemetry: see docs/otel.md."
    )
    upload: Upload = Field(default=Upload(), description="Upload of sealed files to a store.")
    disk: Disk = Field(default=Disk(), description="Limits on the local disk.")

    @field_validator("cluster")
    @classmethod
    def _is_no_path(cls, cluster: str | None) -> str | None:
        return checked_cluster(cluster)


def _meters_differ(config: Keys) -> Keys:
    refuse_shared(
        {
            name: source.meters(config)
            for name, source in SOURCES.items()
            if issubclass(source, MeterSource)
        }
    )
    return config


if TYPE_CHECKING:
    # A type checker cannot follow `create_model`; sources get their own type from `keys_of`.
    Config = CollectorKeys
else:
    _KEYS = [source.keys for source in SOURCES.values() if source.keys is not Strict]
    # Pydantic lists the keys of the last base first, so the example starts with the collector's
    # own keys, followed by those of the GPUs, the last source of the registry.
    Config = create_model(
        "Config",
        __base__=(*_KEYS, CollectorKeys),
        __module__=__name__,
        __validators__={"meters_differ": model_validator(mode="after")(_meters_differ)},
    )
    Config.__doc__ = "All keys: the collector's own and those of its sources."


def keys_of(config: CollectorKeys, keys: type[Keys]) -> Keys:
    """Return the configuration with the type of one source's keys.

    Raises:
        TypeError: the configuration lacks the keys because the source is not in the registry.
    """
    if not isinstance(config, keys):
        raise TypeError(f"the configuration has no {keys.__name__}")
    return config
