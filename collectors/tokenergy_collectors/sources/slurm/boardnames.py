"""Which board Slurm means by a number: the place of its device file in gres.conf.

In: the numbers that a hook told (SLURM_JOB_GPUS, shown as IDX by `scontrol show job -d`), and the
minor numbers of the boards' device files. Out: names of boards that job lists know, `nvidia3`.
Slurm numbers the files of gres.conf from 0 in their order; NVML numbers boards by PCI address.
Tried with Slurm 22.05 and `File=/dev/nvidia[1-3,6]`: IDX 3 is /dev/nvidia6.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tokenergy_collectors.lake.devicehistory import Sighting

_PART = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?", re.ASCII)
_FILES = re.compile(r"(?:/dev/)?nvidia(?:\[([\d,-]+)\]|(\d{1,4}))", re.ASCII)
_LONG_ID = re.compile(r"(?:MIG|GPU)-[0-9A-Za-z/-]+", re.ASCII)
_MOST = 1024


def numbers(text: str) -> list[int]:
    """Return the numbers of a list such as `0,2-3`.

    Raises:
        ValueError: it is no such list.
    """
    found: list[int] = []
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"{text[:80]!r}: expected numbers such as 0,2-3")
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last < first + _MOST:
            raise ValueError(f"{text[:80]!r}: expected ranges such as 0-3")
        found += range(first, last + 1)
    return found


def device_files(text: str) -> list[int]:
    """Return the minor numbers of device files as gres.conf lists them.

    Raises:
        ValueError: it names something else.
    """
    found: list[int] = []
    # A comma inside brackets separates numbers, one outside separates files.
    for part in re.split(r",(?![^\[]*\])", text):
        match = _FILES.fullmatch(part.strip())
        if match is None:
            raise ValueError(
                f"{text!r}: expected the device files as in gres.conf, such as /dev/nvidia[0-3]"
            )
        found += numbers(match[1] or match[2])
    if len(set(found)) < len(found):
        raise ValueError(f"{text!r}: names a file twice")
    return found


def minors_at(seen: Sequence[Sighting], node: str, at_us: int) -> list[int]:
    """Return the minor numbers that the boards of a node had at an instant, ascending.

    Args:
        seen: sightings of devices, in any order.
        node: the node's name in the tables.
        at_us: the instant (us UTC); boards that were first seen later count too, if no board was
            seen before.
    """
    before = [one for one in seen if one.ts_us <= at_us] or list(seen)
    last: dict[str, Sighting] = {}
    for one in sorted(before, key=lambda one: one.ts_us):
        if one.mig_parent is None:
            last[one.device_id] = one
    return sorted(one.minor for one in last.values() if one.node == node and one.minor is not None)


def board_names(told: str, visible: str, files: Sequence[int]) -> list[tuple[int, str]]:
    """Return the boards that a hook told, each with Slurm's number and a name for job lists.

    Args:
        told: SLURM_JOB_GPUS.
        visible: CUDA_VISIBLE_DEVICES; where Slurm lists ids there (MIG), they are the names.
        files: minor numbers in the order of gres.conf.

    Raises:
        ValueError: the numbers cannot be read, or there are no such files.
    """
    places = numbers(told)
    ids = visible.split(",")
    if len(ids) == len(places) and all(map(_LONG_ID.fullmatch, ids)):
        return list(zip(places, ids, strict=True))
    if any(place >= len(files) for place in places):
        raise ValueError(
            f"board {told} of {len(files)} whose device files are known: set device_files in "
            "[slurm] as in gres.conf"
        )
    return [(place, f"nvidia{files[place]}") for place in places]
