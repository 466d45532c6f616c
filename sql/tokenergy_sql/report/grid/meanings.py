"""What the notes of load profiles, bands and swings mean.

In: codes, separated by commas. Out: a sentence for each.
"""

from __future__ import annotations

MEANINGS = {
    "not_metered": "No device was read.",
    "no_cells": "The load is known at no time.",
    "ramp_below_period": "The readings are further apart than the time of a ramp.",
    "ramp_not_whole_cells": "The time of a ramp is no whole number of cells: set --step.",
    "ramp_no_cells": "The load is known for less than the time of a ramp.",
    "above_nyquist": "The sensors do not resolve so high a frequency.",
    "below_resolution": "The load was known for too short a time for so low a frequency.",
    "no_segment": "The load is nowhere known for 25 s in a row.",
    "no_line": "No steady line is stronger than what is around it.",
    "aliased": "It is the image of a swing that is faster than the sensors show.",
    "may_alias": "It may be the image of a faster swing: the readings cannot exclude it.",
    "narrow": "A line, as far as the resolution shows.",
    "harmonic": "A multiple of a larger swing.",
    "shared_estimate": "A device's power is split by declared shares.",
    "unmetered_devices": "Some devices have no readings; the load is that of the others.",
    "devices_changed": "Other devices were read from some time on; no ramp is taken there.",
    "host_by_hour": "The power of hosts is known by the hour: it shows no swing.",
    "modelled_pue": "Cooling and losses are modelled: they show no swing.",
    "metered_connection": "The load is what the site's own meters count.",
    "no_host_power": "The power of a host is not known.",
    "no_pue": "The PUE of a node is not known.",
}
"""Every code of `load_profile`, `load_spectrum`, `load_swing` and their spans."""


def explained(codes: str | None) -> list[tuple[str, str]]:
    """Return each code with its meaning; one that this version does not know means itself."""
    return [(code, MEANINGS.get(code, code)) for code in (codes or "").split(",") if code]


def reason(codes: str | None, otherwise: str) -> str:
    """Return the meanings of codes as one text."""
    return " ".join(meaning for _, meaning in explained(codes)) or otherwise
