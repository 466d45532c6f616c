"""The GPUs of this host, read through NVML (`pynvml`, unmodified).

In: the driver. Out: boards, their power and energy counter in one batched call, their slow gauges.
Field numbers and scopes are NVML's; what a board does not support is None, never 0.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pynvml

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import BOUNDS
from tokenergy_collectors.sources.nvml.fieldvalues import FieldRequest
from tokenergy_collectors.sources.nvml.mig import Instance, instances_of

SENSORS = (
    (pynvml.NVML_FI_DEV_POWER_INSTANT, "instant"),
    (pynvml.NVML_FI_DEV_POWER_AVERAGE, "average_1s"),
)
"""Power fields in the order of preference, and what their readings are."""

_ENERGY = pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION
_MAX_POWER_MW = BOUNDS["power_mw"][1]
_MAX_ENERGY_MJ = 2**63 - 1
_COUNTER = (_ENERGY, 0, _MAX_ENERGY_MJ)


@dataclass(slots=True, eq=False, weakref_slot=True)
class Board:
    """One GPU as found at start, and which of its power fields answer.

    Attributes:
        update_us: period in which the power reading is renewed; None while it was not learned.
        counter_us: period in which the energy counter is renewed, 0 if it is at every reading; None
            while it was not learned.
        slow: whether its calls take so long that it is best left alone but for its power.
        failure: NVML's code of the latest reading, if it failed as a whole; None if it did not.
        instances: the MIG instances on it.
        scopes: field and scope of what else it meters (module, memory), by name.
        counter_scope: what its energy counter covers, `gpu` or `module`; None if not known. One
            that covers the module is no counter of this board, and is not read as one.
    """

    handle: Any
    device_id: str
    index: int
    name: str
    pci: str | None
    limit_mw: int | None
    driver: str | None
    sensor: str = "unknown"
    power_request: FieldRequest | None = None
    energy_request: FieldRequest | None = None
    has_energy: bool = False
    update_us: int | None = None
    counter_us: int | None = None
    slow: bool = False
    failure: int | None = None
    instances: tuple[Instance, ...] = ()
    scopes: dict[str, tuple[int, int]] = field(default_factory=dict)
    counter_scope: str | None = None

    def __post_init__(self) -> None:
        _opened.add(self)

    def read(self, *, energy: bool) -> tuple[int | None, int | None]:
        """Read power (mW) and, if asked for and supported, the energy counter (mJ).

        Raises:
            pynvml.NVMLError: the call as a whole failed, for example because the GPU is lost.
        """
        request = self.energy_request if energy else self.power_request
        try:
            if self.handle is None:  # since a fork
                self.handle = self._find()
            if request is None:
                found = self._call(energy=energy)
            else:
                values = request.read(self.handle)
                found = values[0], values[1] if len(values) > 1 else None
        except pynvml.NVMLError as error:
            self.failure = error.value
            raise
        self.failure = None
        return found

    def _call(self, *, energy: bool) -> tuple[int | None, int | None]:
        """Read a board that knows no power field."""
        power = _told(lambda: pynvml.nvmlDeviceGetPowerUsage(self.handle))
        counter = self._energy_call() if energy and self.has_energy else None
        return _up_to(_MAX_POWER_MW, power), counter

    def reopen(self) -> None:
        """Look for the board again by its UUID, as after a reset or a reload of the driver.

        Raises:
            pynvml.NVMLError: it is not there.
        """
        try:
            self.handle = self._find()
        except pynvml.NVMLError as error:
            self.failure = error.value
            raise

    def _find(self) -> Any:
        _start_in_this_process()
        try:
            return pynvml.nvmlDeviceGetHandleByUUID(self.device_id)
        except pynvml.NVMLError_Uninitialized:
            pynvml.nvmlInit()
            return pynvml.nvmlDeviceGetHandleByUUID(self.device_id)

    def _energy_call(self) -> int | None:
        value = _told(lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(self.handle))
        return _up_to(_MAX_ENERGY_MJ, value)

    def twin(self) -> Board:
        """Return the same board for another thread: the memory that a call writes is its own."""
        requests = (self.power_request, self.energy_request)
        power, energy = (None if r is None else FieldRequest(r.fields) for r in requests)
        return replace(self, power_request=power, energy_request=energy)

    def probe(self) -> None:
        """Find out which power field and which counter answer, and use the best from then on."""
        self.probe_power()
        if self.power_request is None:
            self.has_energy = self.counts_itself and self._energy_call() is not None
        else:
            counter = FieldRequest([_COUNTER])
            self.has_energy = self.counts_itself and counter.read(self.handle) != [None]
            self.energy_request = self._with_counter(self.power_request)

    def probe_power(self) -> None:
        """Find out which power reading answers now, and use the best; the counter is not touched.

        Raises:
            pynvml.NVMLError: the board does not answer.
        """
        for number, sensor in SENSORS:
            request = FieldRequest([(number, pynvml.NVML_POWER_SCOPE_GPU, _MAX_POWER_MW)])
            if _told(partial(request.read, self.handle)) not in (None, [None]):
                self.sensor = sensor
                self.power_request, self.energy_request = request, self._with_counter(request)
                return
        # Before Ampere the reading is instantaneous, later a 1 s average: NVML does not say which.
        told = _told(lambda: pynvml.nvmlDeviceGetPowerUsage(self.handle)) is not None
        self.sensor = "unknown" if told else "none"
        self.power_request = self.energy_request = None

    def _with_counter(self, request: FieldRequest) -> FieldRequest:
        return FieldRequest([*request.fields, _COUNTER]) if self.has_energy else request

    @property
    def counts_itself(self) -> bool:
        """Whether a counter of this board, if there is one, is about the GPU and no more."""
        return self.counter_scope != "module"

    def leave_counter(self) -> None:
        """Read the counter no more: it is not about this board alone."""
        self.has_energy = False
        self.energy_request = self.power_request

    def state(self) -> dict[str, int | None]:
        """Read the slow gauges: utilization, SM clock, temperature and clock event reasons."""
        handle = self.handle
        rates = supported(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle))
        return {
            "sm_util": None if rates is None else int(rates.gpu),
            "mem_util": None if rates is None else int(rates.memory),
            "sm_mhz": supported(
                lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)
            ),
            "temp_c": supported(
                lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)
            ),
            "throttle": supported(lambda: pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle)),
        }

    def processes(self) -> list[int] | None:
        """Return the PIDs of compute processes, those on MIG instances included, ascending."""
        return self.processes_by_device()[self.device_id]

    def processes_by_device(self) -> dict[str, list[int] | None]:
        """Return the PIDs on the board as a whole, and then on each of its MIG instances."""
        found = supported(lambda: pynvml.nvmlDeviceGetComputeRunningProcesses(self.handle))
        on_instances = {one.device_id: one.processes(supported) for one in self.instances}
        told = [pids for pids in on_instances.values() if pids is not None]
        if found is not None:
            told.append([int(process.pid) for process in found])
        everywhere = sorted({pid for pids in told for pid in pids}) if told else None
        return {self.device_id: everywhere, **on_instances}


def open_boards() -> tuple[list[Board], list[str]]:
    """Start NVML; return the boards that can be used, in index order, and why others cannot.

    Raises:
        UserError: there is no driver, or it shows no GPU that can be used.
    """
    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
    except pynvml.NVMLError as error:
        raise UserError(f"NVML cannot be started: {error}; is the NVIDIA driver loaded?") from None
    driver = supported(pynvml.nvmlSystemGetDriverVersion)
    boards, problems = [], []
    for index in range(count):
        try:
            boards.append(_open_board(index, driver))
        except pynvml.NVMLError as error:
            problems.append(f"GPU {index} cannot be opened: {error}")
    if not boards:
        raise UserError(problems[0] if problems else "NVML shows no GPU")
    return boards, problems


def close_boards() -> None:
    """Shut NVML down."""
    supported(pynvml.nvmlShutdown)


# NVML belongs to the process that started it. After a fork the child's boards have no handles, so
# that none of the parent's is ever passed to the driver; the first reading starts NVML anew.
_opened: weakref.WeakSet[Board] = weakref.WeakSet()
_inherited = False


def _forget_handles() -> None:
    global _inherited
    _inherited = True
    for board in _opened:
        board.handle = None
        board.instances = ()


def _start_in_this_process() -> None:
    """Start NVML, once in a process that inherited another one's."""
    global _inherited
    if _inherited:
        supported(pynvml.nvmlShutdown)
        pynvml.nvmlInit()
        _inherited = False


os.register_at_fork(after_in_child=_forget_handles)


def _open_board(index: int, driver: str | None) -> Board:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    board = Board(
        handle=handle,
        device_id=pynvml.nvmlDeviceGetUUID(handle),
        index=index,
        name=pynvml.nvmlDeviceGetName(handle),
        pci=supported(lambda: pynvml.nvmlDeviceGetPciInfo(handle).busId),
        limit_mw=supported(lambda: pynvml.nvmlDeviceGetEnforcedPowerLimit(handle)),
        driver=driver,
    )
    board.probe()
    board.instances = instances_of(handle, supported)
    return board


def supported(call: Callable[[], Any]) -> Any:
    """Return what an NVML call returns; None if it fails."""
    try:
        return call()
    except pynvml.NVMLError:
        return None


def _told(call: Callable[[], Any]) -> Any:
    """Return what an NVML call returns; None if the board or the driver does not know it."""
    try:
        return call()
    except (pynvml.NVMLError_NotSupported, pynvml.NVMLError_FunctionNotFound):
        return None


def _up_to(limit: int, value: int | None) -> int | None:
    """Return a value that the contract can hold; drivers write all ones for one they lack."""
    return value if value is not None and 0 <= value <= limit else None
