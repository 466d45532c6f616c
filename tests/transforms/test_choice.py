"""Which back end integrates: what was asked for; `auto` times both and spares metered GPUs."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator

import pytest
from benchmarks.random_batch import random_batch

from tests.support.emulated import Walk
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.emulate.nvml import library as nvml
from tokenergy_transforms import choice, kernel_cpu, kernel_cuda
from tokenergy_transforms.batch import Batch, Result
from tokenergy_transforms.choice import Integrator

BATCH = random_batch(1, devices=4, readings=200)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """One usable GPU, GPU-1, that is as quick as the CPU; its calls' ordinals."""
    calls: list[list[int]] = []

    def integrate(batch: Batch, *, ordinals: list[int], **_: object) -> Result:
        calls.append(ordinals)
        return kernel_cpu.integrate(batch)

    monkeypatch.setattr(choice, "cuda_unusable", lambda: None)
    monkeypatch.setattr(choice, "unmetered", lambda metered: [] if "GPU-1" in metered else [0])
    monkeypatch.setattr(kernel_cuda, "integrate", integrate)
    monkeypatch.setattr(choice, "START_S", 0.0)
    return calls


def used(integrator: Integrator, batches: int) -> list[str]:
    """Return the back end of each of some batches."""
    return [integrator(BATCH).backend for _ in range(batches)]


def test_cuda_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "cuda_unusable", lambda: "no CUDA device")
    with pytest.raises(UserError, match="--device cuda: no CUDA device"):
        Integrator("cuda", [])
    auto = Integrator("auto", [])
    auto._cpu_s = 1e9
    assert auto(BATCH).backend == "cpu"


def test_cpu_is_cpu(gpu: list[list[int]]) -> None:
    cpu = Integrator("cpu", [])
    assert (used(cpu, 4), gpu) == (["cpu"] * 4, [])


def test_auto_stays_on_the_cpu_while_cuda_would_only_start(
    gpu: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "START_S", 1e9)
    auto = Integrator("auto", [])
    assert (used(auto, 4), gpu) == (["cpu"] * 4, [])


def test_auto_takes_cuda_when_it_proves_quicker(gpu: list[list[int]]) -> None:
    auto = Integrator("auto", [])
    auto._cpu_s, auto._cpu_readings = 1.0, 1
    assert (used(auto, 5), gpu) == (["cuda"] * 5, [[0]] * 5)


def test_auto_returns_to_the_cpu_when_cuda_proves_slower(gpu: list[list[int]]) -> None:
    auto = Integrator("auto", [])
    auto._cpu_s, auto._cpu_readings = 1.0, 10**12  # a rate that no CUDA device reaches
    assert used(auto, 5) == ["cuda"] * choice.TRIALS + ["cpu"] * (5 - choice.TRIALS)
    assert len(gpu) == choice.TRIALS


def test_auto_spares_metered_gpus_and_says_so(
    gpu: list[list[int]], caplog: pytest.LogCaptureFixture
) -> None:
    auto = Integrator("auto", ["GPU-1"])
    auto._cpu_s = 1.0
    assert (used(auto, 3), gpu) == (["cpu"] * 3, [])
    assert caplog.text.count("this lake meters every GPU here") == 1
    Integrator("cuda", ["GPU-1"])(BATCH)  # the user insists
    assert gpu == [[0]]


def test_auto_goes_on_where_cuda_fails(
    gpu: list[list[int]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(batch: Batch, **_: object) -> Result:
        raise MemoryError("out of device memory")

    monkeypatch.setattr(kernel_cuda, "integrate", broken)
    auto = Integrator("auto", [])
    auto._cpu_s = 1.0
    results = [auto(BATCH).result for _ in range(3)]
    want = kernel_cpu.integrate(BATCH).energy_nj.tolist()
    assert all(result.energy_nj.tolist() == want for result in results)
    assert "CUDA failed, continuing on the CPU: out of device memory" in caplog.text


@pytest.fixture
def boards(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """UUIDs of four boards; CUDA counts them from the last, and has one that NVML does not know."""
    node = Walk().node
    identities = [board.identity for board in node.boards]
    addresses = [f"0000:{identity.pci_bus:02x}:00.0" for identity in reversed(identities)]
    addresses.append("0000:ff:00.0")
    runtime = types.SimpleNamespace(
        getDeviceCount=lambda: len(addresses),
        deviceGetPCIBusId=addresses.__getitem__,
        CUDARuntimeError=RuntimeError,
    )
    cupy = types.ModuleType("cupy")
    cupy.cuda = types.SimpleNamespace(runtime=runtime)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    with nvml.install(node):
        yield [identity.uuid for identity in identities]


def test_cuda_devices_are_matched_with_metered_boards_by_address(boards: list[str]) -> None:
    assert [choice.board_of(ordinal) for ordinal in range(5)] == [*reversed(boards), None]
    assert choice.unmetered({boards[0], boards[2], "GPU-elsewhere"}) == [0, 2]
    assert choice.unmetered(set(boards)) == []


def test_nvml_is_asked_once_a_run(gpu: list[list[int]], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(choice, "unmetered", lambda metered: asked.append(metered) or [0])
    devices: tuple[choice.Device, ...] = ("cuda", "auto")
    for device in devices:
        integrator = Integrator(device, ["GPU-2"])
        integrator._cpu_s, integrator._cpu_readings = 1.0, 1
        assert used(integrator, 5) == ["cuda"] * 5
    assert asked == [["GPU-2"]] * 2


def test_what_nvml_does_not_know_counts_as_metered_where_anything_is(boards: list[str]) -> None:
    assert choice.unmetered({"GPU-elsewhere"}) == [0, 1, 2, 3]
    assert choice.unmetered(()) == [0, 1, 2, 3, 4]


def test_without_nvml_every_board_is_unknown(
    boards: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import pynvml

    def missing() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", missing)
    assert choice.board_of(0) is None
    assert choice.unmetered({boards[0]}) == []
    assert choice.unmetered(set()) == [0, 1, 2, 3, 4]
