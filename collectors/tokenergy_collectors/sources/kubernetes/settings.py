"""The configuration keys of the `kubernetes` source."""

from __future__ import annotations

from string import Formatter

from pydantic import Field, field_validator

from tokenergy_collectors.base.strict import Strict

_FIELDS = ("namespace", "pod", "container")


class Kubernetes(Strict):
    """The kubelet, and where traces of its pods lie on the host."""

    enabled: bool = Field(
        default=False,
        description="Whether to ask the kubelet of this node which pod has which GPU.",
    )
    socket: str = Field(
        default="/var/lib/kubelet/pod-resources/kubelet.sock",
        min_length=1,
        description="The kubelet's PodResources socket.",
    )
    every_s: float = Field(
        default=1.0,
        ge=0.2,
        le=60,
        description=(
            "Seconds between two questions. The start and the end of a pod are known to this much."
        ),
    )
    timeout_s: float = Field(
        default=2.0, ge=0.1, le=60, description="Seconds to wait for an answer."
    )
    lost_after_s: float = Field(
        default=30.0,
        ge=0,
        le=3600,
        description=(
            "Seconds without an answer after which that is an event. A kubelet that restarts is "
            "back earlier. Until it answers, pods keep their GPUs."
        ),
    )
    limit_mib: int = Field(
        default=16, ge=1, le=256, description="Mebibytes above which an answer is refused."
    )
    job_id: str = Field(
        default="{namespace}/{pod}",
        min_length=1,
        description="Id of a pod's job: text with {namespace}, {pod} and {container}.",
    )
    resource_prefix: str = Field(
        default="nvidia.com/",
        min_length=1,
        description="How the names of GPU resources begin. Other resources are ignored.",
    )
    dra_driver: str = Field(
        default="gpu.nvidia.com",
        min_length=1,
        description="The DRA driver whose claims are GPUs. Claims of other drivers are ignored.",
    )
    resource_slices: str | None = Field(
        default=None,
        description=(
            "JSON file with the output of `kubectl get resourceslices -o json`. It says which "
            "board a DRA claim means; it is read again when it changes."
        ),
        examples=["/etc/tokenergy/resourceslices.json"],
    )
    pod_logs: str = Field(
        default="/var/log/pods",
        min_length=1,
        description="Folder of the pods' logs. The names in it tell the UID of each pod.",
    )
    cgroups: str = Field(
        default="/sys/fs/cgroup",
        min_length=1,
        description="The host's cgroups. A pod whose cgroup is gone has ended.",
    )

    @field_validator("job_id")
    @classmethod
    def _has_known_fields(cls, template: str) -> str:
        try:
            parts = list(Formatter().parse(template))
        except ValueError as error:
            raise ValueError(f"{template!r}: {error}") from None
        for _, name, form, conversion in parts:
            if name is not None and (name not in _FIELDS or form or conversion):
                allowed = ", ".join(f"{{{one}}}" for one in _FIELDS)
                raise ValueError(f"{template!r}: {{{name}}} is not known; allowed: {allowed}")
        return template


class KubernetesKeys(Strict):
    """How to ask the kubelet."""

    kubernetes: Kubernetes = Field(
        default=Kubernetes(),
        description="Pods and their GPUs, as the kubelet of this node tells them.",
    )
