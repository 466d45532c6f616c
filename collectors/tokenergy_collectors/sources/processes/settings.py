"""The configuration keys of the `processes` source."""

from __future__ import annotations

from string import Formatter

from pydantic import Field, field_validator

from tokenergy_collectors.base.strict import Strict

_FIELDS = ("node", "kind", "name")


class Processes(Strict):
    """Which processes on the boards are jobs."""

    enabled: bool = Field(
        default=False,
        description=(
            "Whether to follow the processes on the boards. Those whose board no job holds are "
            "reported; those that the next keys choose become jobs."
        ),
    )
    systemd: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="Units that are jobs, as patterns; a unit of a user is UNIT@USER.",
        examples=[["vllm-*.service", "jupyter.service@*"]],
    )
    docker: bool = Field(default=False, description="Whether Docker's containers are jobs.")
    podman: bool = Field(default=False, description="Whether Podman's containers are jobs.")
    containerd: bool = Field(
        default=False,
        description="Whether other containers (nerdctl, CRI) are jobs; pods never are: see "
        "[kubernetes].",
    )
    plain: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="Users whose other processes are jobs, as patterns: one job for each process "
        "that a shell started, with its children.",
        examples=[["alice", "ml-*"]],
    )
    graphics: bool = Field(
        default=False,
        description="Whether graphics processes count too; a display server is one.",
    )
    job_id: str = Field(
        default="{node}/{kind}/{name}",
        min_length=1,
        description=(
            "Id of a job: text with {node}, {kind} (systemd, docker, podman, containerd, plain) "
            "and {name}. Leave {node} out where one job runs on several nodes."
        ),
    )
    container_names: str | None = Field(
        default=None,
        description=(
            "Socket of Docker or Podman, which is asked for the containers' names. Without it a "
            "job has the first 12 digits of the id. Who may use this socket rules the host."
        ),
        examples=["/run/docker.sock"],
    )
    every_s: float = Field(
        default=5.0,
        ge=3.5,
        le=60,
        description="Seconds between two lists; each one takes a lock in the driver. Starts are "
        "known to this much, ends to a second.",
    )
    stray_after_s: float = Field(
        default=15.0,
        ge=0,
        le=3600,
        description="Seconds that a process may be on a board without a job before it is an event.",
    )
    proc: str = Field(
        default="/proc", min_length=1, description="Where the host's processes are shown."
    )

    @field_validator("job_id")
    @classmethod
    def _has_known_fields(cls, template: str) -> str:
        try:
            parts = list(Formatter().parse(template))
        except ValueError as error:
            raise ValueError(f"{template!r}: {error}") from None
        names = {name for _, name, _, _ in parts if name is not None}
        plain = all(not form and not conversion for _, _, form, conversion in parts)
        if not names <= set(_FIELDS) or "name" not in names or not plain:
            raise ValueError(
                f"{template!r}: expected text with {{name}}, and maybe {{node}} and {{kind}}"
            )
        return template


class ProcessKeys(Strict):
    """How to follow the processes on the boards."""

    processes: Processes = Field(
        default=Processes(),
        description="Processes on the boards: see docs/processes.md.",
    )
