"""Whether further registers of a circuit are what they say: power beside energy, in no sum.

In: the meters over time. Out: problems: a register that would be added beside the one it repeats.
"""

from __future__ import annotations

from collections.abc import Iterator

from tokenergy_sql.places.meters import Meter, Meters
from tokenergy_sql.places.problems import Problems, known_names


def check_circuits(meters: Meters, problems: Problems) -> None:
    """Add what is wrong with `same_circuit_as` to the problems of a site."""
    spans = [span for timeline in meters.by_id.values() for span in timeline.spans]
    further = {span.value.id for span in spans if span.value.same_circuit_as is not None}
    for span in spans:
        meter, other = span.value, span.value.same_circuit_as
        if other is not None and other not in meters.by_id:
            known = known_names(other, meters.by_id)
            problems.add(f"{meter.where}: same_circuit_as {other!r} is no meter's id; {known}")
        elif other is not None:
            for part in meters.by_id[other].within(span.from_us, span.until_us):
                for text in _misfits(meter, part.value):
                    problems.add(f"{meter.where}: same_circuit_as {other!r}: {text}")
        for below in sorted(further.intersection(meter.feeds)):
            problems.add(
                f"{meter.where}: feeds {below!r}, which is a further register of a circuit; name "
                "the meter of its `same_circuit_as` instead"
            )


def _misfits(meter: Meter, other: Meter) -> Iterator[str]:
    if other.same_circuit_as is not None:
        yield "is a further register itself; name the meter that it names"
    if (meter.place, meter.role) != (other.place, other.role):
        yield (
            f"is {other.role} at {other.place}, this is {meter.role} at {meter.place}; expected "
            "the same role and place"
        )
