"""Why a board's clock is not higher, in words that fit a column.

In: the clock event reasons of NVML, as bits. Out: words. The bits are those of
`nvmlClocksEventReasons` in NVML's reference.
"""

from __future__ import annotations

_IDLE = 0x1
"""The board has nothing to do: its clock is low, and nothing holds it back."""

_WORDS = {
    0x2: "clocks",  # the clocks that an operator set
    0x4: "cap",  # the power limit
    0x8: "slowdown",  # the hardware, for heat or power
    0x10: "sync",  # the boards of a group keep the pace of the slowest
    0x20: "heat",  # software, at a temperature limit
    0x40: "heat",  # the hardware, at a temperature limit
    0x80: "brake",  # the power supply asked for less
    0x100: "display",
}


def held_back(bits: int) -> tuple[str, ...]:
    """Return what holds a board back, each once; a bit without a word is shown as a number."""
    left = bits & ~_IDLE
    words = [word for bit, word in _WORDS.items() if left & bit]
    unknown = left & ~sum(_WORDS)
    return tuple(dict.fromkeys([*words, *([f"{unknown:#x}"] if unknown else [])]))
