"""The GPUs of this host, read through NVML (`pynvml`, unmodified).

In: the driver. Out: boards, their power and energy counter in one batched call, their slow gauges.
Field numbers and scopes are NVML's; what a board does not support is None, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pynvml

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import BOUNDS
from tokenergy_collectors.sources.nvml import session
from tokenergy_collectors.sources.nvml.calls import if_supported, or_none
from tokenergy_collectors.sources.nvml.fieldvalues import FieldRequest
from tokenergy_collectors.sources.nvml.mig import Instance, instances_of
from tokenergy_collectors.sources.nvml.ranges import pci_address, pids_of, readable, within

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
        minor: number of its device file, as in /dev/nvidia3.
        update_us: update period of the power reading; None until it is learned.
        counter_us: update period of the energy counter, 0 if it grows at every reading; None until
            it is learned.
        slow: whether its calls take so long that only its power should be read.
        failure: NVML's code if the latest reading failed as a whole; else None.
        instances: the MIG instances on it.
        scopes: field and scope of what else it meters (module, memory), by name.
        counter_scope: what its energy counter covers, `gpu` or `module`; None if not known. A
            counter that covers the module is not used as this board's counter.
        limit_max_mw: the highest power limit that can be set, if that is known.
    """

    handle: Any
    device_id: str
    index: int
    name: str | None
    pci: str | None
    limit_mw: int | None
    driver: str | None
    minor: int | None = None
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
    limit_max_mw: int | None = None

    def __post_init__(self) -> None:
        session.register(self)

    def read(self, *, energy: bool) -> tuple[int | None, int | None]:
        """Read power (mW) and, if asked for and supported, the energy counter (mJ).

        Raises:
            pynvml.NVMLError: the call as a whole failed, for example because the GPU is lost.
        """
        request = self.energy_request if energy else self.power_request
        try:
            if self.handle is None:  # cleared by a fork
                self.handle = session.handle_of(self.device_id)
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
        """Read a board that supports no power field."""
        power = if_supported(pynvml.nvmlDeviceGetPowerUsage, self.handle)
        counter = self._energy_call() if energy and self.has_energy else None
        return _up_to(_MAX_POWER_MW, power), counter

    def reopen(self) -> None:
        """Look for the board again by its UUID, as after a reset or a reload of the driver.

        Raises:
            pynvml.NVMLError: NVML does not find it.
        """
        try:
            self.handle = session.handle_of(self.device_id)
        except pynvml.NVMLError as error:
            self.failure = error.value
            raise

    def _energy_call(self) -> int | None:
        value = if_supported(pynvml.nvmlDeviceGetTotalEnergyConsumption, self.handle)
        return _up_to(_MAX_ENERGY_MJ, value)

    def twin(self) -> Board:
        """Return the same board for another thread, with its own memory for NVML to write to."""
        requests = (self.power_request, self.energy_request)
        power, energy = (None if r is None else FieldRequest(r.fields) for r in requests)
        return replace(self, power_request=power, energy_request=energy)

    def probe(self) -> None:
        """Find out which power field and which counter answer; use the best from then on."""
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
        zero: tuple[str, FieldRequest] | None = None
        for number, sensor in SENSORS:
            request = FieldRequest([(number, pynvml.NVML_POWER_SCOPE_GPU, _MAX_POWER_MW)])
            found = if_supported(request.read, self.handle)
            if found == [0]:  # drivers show 0 in a field that they do not fill
                zero = zero or (sensor, request)
            elif found not in (None, [None]):
                self._use(sensor, request)
                return
        # Before Ampere the reading is instantaneous, later a 1 s average: NVML does not say which.
        usage = if_supported(pynvml.nvmlDeviceGetPowerUsage, self.handle)
        if zero and not usage:
            self._use(*zero)
            return
        self.sensor = "unknown" if usage is not None else "none"
        self.power_request = self.energy_request = None

    def _use(self, sensor: str, request: FieldRequest) -> None:
        self.sensor = sensor
        self.power_request, self.energy_request = request, self._with_counter(request)

    def _with_counter(self, request: FieldRequest) -> FieldRequest:
        return FieldRequest([*request.fields, _COUNTER]) if self.has_energy else request

    @property
    def counts_itself(self) -> bool:
        """Whether a counter of this board, if it has one, covers the GPU alone."""
        return self.counter_scope != "module"

    def leave_counter(self) -> None:
        """Stop reading the counter: it covers more than this board."""
        self.has_energy = False
        self.energy_request = self.power_request

    def state(self) -> dict[str, int | None]:
        """Read the slow gauges: utilization, SM clock, temperature and clock event reasons."""
        handle = self.handle
        rates = or_none(pynvml.nvmlDeviceGetUtilizationRates, handle)
        found = {
            "sm_util": None if rates is None else rates.gpu,
            "mem_util": None if rates is None else rates.memory,
            "sm_mhz": or_none(pynvml.nvmlDeviceGetClockInfo, handle, pynvml.NVML_CLOCK_SM),
            "temp_c": or_none(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU),
            "throttle": or_none(_clock_reasons, handle),
        }
        return {gauge: within(gauge, value) for gauge, value in found.items()}

    def processes(self) -> list[int] | None:
        """Return the PIDs of compute processes, ascending, with those on MIG instances."""
        return self.processes_by_device()[self.device_id]

    def processes_by_device(self) -> dict[str, list[int] | None]:
        """Return the PIDs on the board as a whole, and then on each of its MIG instances."""
        found = or_none(pynvml.nvmlDeviceGetComputeRunningProcesses, self.handle)
        on_instances = {one.device_id: one.processes(or_none) for one in self.instances}
        answers = [pids for pids in on_instances.values() if pids is not None]
        if (pids := pids_of(found)) is not None:
            answers.append(pids)
        everywhere = sorted({pid for pids in answers for pid in pids}) if answers else None
        return {self.device_id: everywhere, **on_instances}


def open_boards() -> tuple[list[Board], list[str]]:
    """Start NVML; return the boards that can be used, in index order, and why others cannot.

    Raises:
        UserError: there is no driver, or it shows no usable GPU.
    """
    try:
        pynvml.nvmlInit()
        count = within("boards", pynvml.nvmlDeviceGetCount()) or 0
    except pynvml.NVMLError as error:
        raise UserError(f"NVML cannot be started: {error}; is the NVIDIA driver loaded?") from None
    driver = readable(or_none(pynvml.nvmlSystemGetDriverVersion))
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
    session.shut_down()


def _open_board(index: int, driver: str | None) -> Board:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    device_id = if_supported(pynvml.nvmlDeviceGetUUID, handle)
    if device_id is None or readable(device_id) != device_id or "\ufffd" in device_id:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_UNKNOWN)  # it could not be found again
    pci = or_none(pynvml.nvmlDeviceGetPciInfo, handle)
    board = Board(
        handle=handle,
        device_id=device_id,
        index=index,
        name=readable(if_supported(pynvml.nvmlDeviceGetName, handle)),
        pci=None if pci is None else pci_address(or_none(getattr, pci, "busId")),
        limit_mw=within("limit_mw", or_none(pynvml.nvmlDeviceGetEnforcedPowerLimit, handle)),
        driver=driver,
        minor=within("minor", or_none(pynvml.nvmlDeviceGetMinorNumber, handle)),
    )
    board.probe()
    board.instances = instances_of(handle, or_none)
    return board


def _clock_reasons(handle: Any) -> int:
    """Return the clock event reasons; drivers before R535 know them by their older name.

    Raises:
        pynvml.NVMLError: the driver does not report them.
    """
    try:
        return int(pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
    except pynvml.NVMLError_FunctionNotFound:
        return int(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))


def _up_to(limit: int, value: int | None) -> int | None:
    """Return a value that the contract can hold, else None: drivers write all ones for no value."""
    return value if value is not None and 0 <= value <= limit else None
