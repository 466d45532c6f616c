"""Names of cgroups as Docker, Podman, containerd, the kubelet, Slurm and systemd write them."""

import pytest

from tests.collectors.sources.processes.rig import HEX
from tokenergy_collectors.sources.processes.cgroups import place_of

POD = "8dbc6bd1-7b1c-4c5a-a4f0-3a0b1d3d9f11"


@pytest.mark.parametrize(
    ("path", "kind", "name", "unit"),
    [
        (f"/system.slice/docker-{HEX}.scope", "docker", HEX, None),
        (f"/docker/{HEX}", "docker", HEX, None),
        (f"/docker/{HEX}/system.slice/inner.service", "docker", HEX, None),
        (f"/machine.slice/libpod-{HEX}.scope/container", "podman", HEX, None),
        (f"/machine.slice/libpod-{HEX}.scope", "podman", HEX, None),
        (
            f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{HEX}.scope",
            "podman",
            HEX,
            None,
        ),
        (f"/system.slice/vllm.service/libpod-payload-{HEX}", "podman", HEX, "vllm.service"),
        (f"/system.slice/nerdctl-{HEX}.scope", "containerd", HEX, None),
        (f"/default/{HEX}", "containerd", HEX, None),
        (f"/system.slice/containerd.service/a:cri-containerd:{HEX}", "containerd", HEX,
         "containerd.service"),
        (
            f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod"
            f"{POD.replace('-', '_')}.slice/cri-containerd-{HEX}.scope",
            "kubernetes",
            POD,
            None,
        ),
        (f"/kubepods/besteffort/pod{POD}/{HEX}", "kubernetes", POD, None),
        ("/system.slice/slurmstepd.scope/job_17/step_batch/user/task_0", "slurm", "17", None),
        ("/system.slice/n1_slurmstepd.scope/job_17/step_0", "slurm", "17", None),
        ("/slurm/uid_1000/job_17/step_0/task_0", "slurm", "17", None),
        ("/slurm_n1/uid_1000/job_17/step_0", "slurm", "17", None),
        ("/system.slice/vllm.service", "none", "", "vllm.service"),
        ("/system.slice/vllm.service/worker", "none", "", "vllm.service"),
        ("/system.slice/train.scope", "none", "", "train.scope"),
        ("/user.slice/user-1000.slice/session-3.scope", "none", "", None),
        ("/user.slice/user-1000.slice/user@1000.service/init.scope", "none", "", None),
        ("/", "none", "", None),
    ],
)  # fmt: skip
def test_a_cgroup_says_whose_a_process_is(path, kind, name, unit):
    place = place_of(f"0::{path}\n")
    if "slurmstepd" in path:  # slurmstepd.scope is a unit of its own, and no job
        assert place[:2] == (kind, name)
    else:
        assert place[:3] == (kind, name, unit)


def test_of_version_1_the_line_that_says_most_counts():
    text = f"12:pids:/docker/{HEX}\n1:name=systemd:/docker/{HEX}\n0::/system.slice/docker.service\n"
    assert place_of(text)[:2] == ("docker", HEX)
    text = "4:memory:/slurm/uid_0/job_9/step_0\n2:cpu:/\n0::/system.slice/slurmd.service\n"
    assert place_of(text)[:2] == ("slurm", "9")


def test_a_unit_of_a_user_says_whose_it_is():
    path = "/user.slice/user-1000.slice/user@1000.service/app.slice/jupyter.service"
    assert place_of(f"0::{path}\n")[2:4] == ("jupyter.service", 1000)


def test_names_with_control_characters_stay_on_one_line():
    place = place_of("0::/system.slice/a\x1b[2Jb\r.service\n")
    assert place.unit == "a\ufffd[2Jb\ufffd.service"
    assert place.path.isprintable()
    assert place.unified == "/system.slice/a\x1b[2Jb\r.service"
    assert place_of("")[:3] == ("none", "", None)
    assert len(place_of("0::/" + "x" * 5_000).path) == 200
