"""What the configuration keys of all sources of facility meters share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

HOST_PATTERN = r"^[^\s/@\[\]]+$"
"""A host's name or address, without scheme, port or credentials."""


def refuse_twice(meters: Iterable[str], devices: Iterable[str]) -> None:
    """Refuse two meters of one id, and two tables of one device.

    Args:
        meters: the ids of all meters.
        devices: the devices in words.

    Raises:
        ValueError: something occurs twice.
    """
    if (meter := _twice(meters)) is not None:
        raise ValueError(f"meter {meter!r} is used twice; expected a different one for each")
    if (device := _twice(devices)) is not None:
        raise ValueError(f"{device} has two tables; expected one with all its meters")


def refuse_shared(meters: Mapping[str, Iterable[str]]) -> None:
    """Refuse a meter that is read twice: its rows would be those of two meters.

    Args:
        meters: the ids of the meters by source.

    Raises:
        ValueError: two sources have one id, or one has it twice.
    """
    owner: dict[str, str] = {}
    for source, ids in meters.items():
        for meter in ids:
            if owner.get(meter) == source:
                refuse_twice((meter, meter), ())
            if owner.setdefault(meter, source) != source:
                raise ValueError(
                    f"meter {meter!r} is used in [[{owner[meter]}]] and in [[{source}]]; "
                    "expected a different one for each"
                )


def _twice(texts: Iterable[str]) -> str | None:
    """Return the first text that occurs a second time."""
    seen: set[str] = set()
    for text in texts:
        if text in seen:
            return text
        seen.add(text)
    return None
