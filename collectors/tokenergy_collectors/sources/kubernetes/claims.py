"""Which board a DRA claim means: the attributes that the driver published of its devices.

In: a file with the output of `kubectl get resourceslices -o json`. Out: attributes of devices. The
collector does not ask the API server: it would need an account there, and a host that cannot reach
it would lose its jobs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

_MOST_BYTES = 64 << 20


class Attributes(NamedTuple):
    """What a driver says of a device; None where it does not.

    Attributes:
        uuid: of the board or MIG instance; drivers write it in small letters.
        parent_uuid: of the board that a MIG instance is part of.
        profile: of a MIG instance, such as `1g.10gb`.
    """

    uuid: str | None
    parent_uuid: str | None
    profile: str | None


class Slices:
    """The devices of the ResourceSlices in a file, read again when the file changes.

    Args:
        path: the file; None if there is none.
    """

    def __init__(self, path: str | None) -> None:
        self._path = None if path is None else Path(path)
        self._seen: tuple[int, int, int] | None = None
        self._found: Mapping[str, Attributes] = {}

    @property
    def given(self) -> bool:
        """Whether there is a file at all."""
        return self._path is not None

    def get(self, device: str) -> Attributes | None:
        """Return the attributes of `DRIVER/POOL/DEVICE`; None if they are not known."""
        return self._found.get(device)

    def look(self) -> str | None:
        """Read the file if it has changed; return why it cannot be read, or None."""
        if self._path is None:
            return None
        try:
            stat = self._path.stat()
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if seen == self._seen:
                return None
            if stat.st_size > _MOST_BYTES:
                return f"{self._path}: larger than {_MOST_BYTES >> 20} MiB"
            self._found = dict(_devices(json.loads(self._path.read_text("utf-8"))))
        except OSError as error:
            return f"{self._path}: {error.strerror}"
        except (ValueError, RecursionError):
            return f"{self._path}: not the output of `kubectl get resourceslices -o json`"
        self._seen = seen
        return None


def _devices(document: Any) -> Iterator[tuple[str, Attributes]]:
    """Yield the devices of a list of ResourceSlices, or of one, by `DRIVER/POOL/DEVICE`.

    Raises:
        ValueError: it is neither.
    """
    try:
        for one in document.get("items", [document]):
            spec = one["spec"]
            for device in spec.get("devices") or ():
                # Before resource.k8s.io/v1 the attributes were in `basic`.
                given = device.get("attributes") or (device.get("basic") or {}).get("attributes")
                name = f"{spec['driver']}/{spec['pool']['name']}/{device['name']}"
                yield name, _attributes(given or {})
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(str(error)) from None


def _attributes(given: Mapping[str, Any]) -> Attributes:
    # A name may be qualified by its driver: gpu.nvidia.com/uuid.
    plain = {name.rsplit("/", 1)[-1]: value for name, value in given.items()}

    def text(name: str) -> str | None:
        value = plain.get(name, {}).get("string")
        return value if isinstance(value, str) and value else None

    return Attributes(text("uuid"), text("parentUUID"), text("profile"))
