"""Individual boards and workloads from a profile: the same profile gives the same ones anywhere.

In: a profile, and a node and a board's index, or a job. Out: what the board reports of itself, its
physics and its sensors, or the job's workload.
"""

from __future__ import annotations

import hashlib
import uuid
import zlib

import numpy as np

from tokenergy_collectors.emulate.physics.board import BoardIdentity
from tokenergy_collectors.emulate.physics.power import BoardPhysics
from tokenergy_collectors.emulate.physics.sensor import SensorSpec
from tokenergy_collectors.emulate.profile.hardware import BoardSpec
from tokenergy_collectors.emulate.profile.jobs import JobSpec, StrayJobSpec
from tokenergy_collectors.emulate.profile.profile import Profile
from tokenergy_collectors.emulate.workloads.base import Workload
from tokenergy_collectors.emulate.workloads.inference import Inference, InferenceSpec
from tokenergy_collectors.emulate.workloads.periodic import Periodic, PeriodicSpec
from tokenergy_collectors.emulate.workloads.request_log import load_log
from tokenergy_collectors.emulate.workloads.reservation import Reservation, ReservationSpec
from tokenergy_collectors.emulate.workloads.stray import Stray
from tokenergy_collectors.emulate.workloads.training import Training, TrainingSpec

_FIRST_BUS = 0x11
_BUS_STEP = 0x0A
_BUSES = 0x100
_MAX_BASE_MJ = 4_000_000_000_000  # about two months at 700 W


def identity(profile: Profile, node: str, index: int) -> BoardIdentity:
    """Return what a board reports of itself; its UUID is a digest of seed, node and index."""
    spec = _spec(profile, node)
    digest = hashlib.sha256(f"{profile.seed}/{node}/{index}".encode()).digest()
    return BoardIdentity(
        index=index,
        uuid=f"GPU-{uuid.UUID(bytes=digest[:16])}",
        name=spec.name,
        pci_bus=(_FIRST_BUS + _BUS_STEP * index) % _BUSES,
        limit_mw=round(spec.limit_w * 1e3),
        min_limit_mw=round(min(spec.min_limit_w, spec.limit_w) * 1e3),
        memory_bytes=int(spec.memory_gib * 2**30),
        unsupported=frozenset(spec.unsupported),
        mig=profile.nodes[node].mig_of(index),
        minor=profile.nodes[node].minor_of(index),
    )


def physics(profile: Profile, node: str, index: int) -> BoardPhysics:
    """Return the parameters of a board's power."""
    spec = _spec(profile, node)
    idle, load = _rng(profile, node, index, "physics").uniform(-1, 1, 2)
    return BoardPhysics(
        idle_mw=1e3 * (spec.idle_w + spec.idle_spread_w * float(idle)),
        limit_mw=round(spec.limit_w * 1e3),
        rise_us=spec.rise_us,
        fall_us=spec.fall_us,
        ripple=spec.ripple,
        factor=1 + spec.load_spread * float(load),
    )


def sensor(profile: Profile, node: str, index: int) -> SensorSpec:
    """Return a board's sensors: phases of their refreshes, their errors, base of the counter."""
    spec, host = _spec(profile, node), profile.nodes[node]
    rng = _rng(profile, node, index, "sensor")
    phase_us, base_mj = int(rng.integers(spec.update_us)), int(rng.integers(1, _MAX_BASE_MJ))
    # Drawn even if unused, so that adding one key to a profile does not change other draws.
    gain, offset, counter_gain, counter_phase = rng.uniform(-1, 1, 4).tolist()
    gain_ppm = spec.gain_ppm + round(gain * spec.gain_spread_ppm)
    offset_mw = spec.offset_mw + round(offset * spec.offset_spread_mw)
    rest_mw = round(spec.module_rest_w * 1e3)
    return SensorSpec(
        update_us=spec.update_us,
        phase_us=phase_us,
        window_us=spec.window_us,
        average_window_us=spec.average_window_us,
        gain_ppm=host.power_gain_ppm[index] if host.power_gain_ppm else gain_ppm,
        offset_mw=host.power_offset_mw[index] if host.power_offset_mw else offset_mw,
        counter_base_mj=base_mj,
        counter_update_us=spec.counter_update_us,
        counter_phase_us=int((counter_phase + 1) / 2 * spec.counter_update_us),
        counter_gain_ppm=spec.counter_gain_ppm + round(counter_gain * spec.counter_gain_spread_ppm),
        counter_rest_mw=rest_mw if spec.counter_scope == "module" else 0,
        module_rest_mw=rest_mw,
        usage_instant=spec.usage == "instant",
    )


def workload(profile: Profile, placed: JobSpec | StrayJobSpec) -> Workload:
    """Return the workload of a job or stray; every node of a job builds the same one.

    Raises:
        UserError: its request log cannot be used.
    """
    spec = placed.workload
    when = (profile.seed, placed.id, placed.start_us, placed.end_us)
    if isinstance(spec, InferenceSpec):
        return Inference(spec, load_log(spec.log, profile.folder), *when)
    if isinstance(spec, TrainingSpec):
        return Training(spec, *when)
    if isinstance(spec, PeriodicSpec):
        return Periodic(spec, *when)
    if isinstance(spec, ReservationSpec):
        return Reservation(*when)
    return Stray(spec, *when)


def _spec(profile: Profile, node: str) -> BoardSpec:
    return profile.boards[profile.nodes[node].boards]


def _rng(profile: Profile, node: str, index: int, what: str) -> np.random.Generator:
    words = (node.encode(), what.encode())
    return np.random.default_rng([profile.seed, index, *(zlib.crc32(word) for word in words)])
