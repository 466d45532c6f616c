"""Which signal serves which purpose when, as the site file declares it.

In: the tables `[[signal]]`. Out: `DeclaredSignals`, or an error of one line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.places.timeline import Span, Timeline, show_span
from tokenergy_sql.signals.keys import SignalKeys

_QUANTITIES = {
    "price": "price",
    "renewable": "renewable_share",
    "cfe": "cfe_share",
    "contracted": "clean_power",
}
_MW_PER_KW = 1_000_000
_UG_PER_G = 1_000_000


@dataclass(frozen=True, slots=True)
class Use:
    """A signal that serves a purpose.

    Attributes:
        purpose: carbon, price, renewable, cfe or contracted.
        signal: its name.
        quantity: that is meant.
    """

    purpose: str
    signal: str
    quantity: str


@dataclass(frozen=True)
class DeclaredSignals:
    """What the site file says of signals, over time.

    Attributes:
        uses: by purpose.
        contracted_mw: contracted clean power that is constant, mW.
        embodied_ug: embodied emissions of one GPU in an hour, micrograms CO2e.
    """

    uses: dict[str, Timeline[Use]] = field(default_factory=dict)
    contracted_mw: Timeline[int] = field(default_factory=Timeline)
    embodied_ug: Timeline[int] = field(default_factory=Timeline)

    def __bool__(self) -> bool:
        """Return whether anything is declared."""
        return bool(self.uses or self.contracted_mw.spans or self.embodied_ug.spans)

    def within(self, from_us: int, until_us: int) -> Iterator[tuple[int, int, Use]]:
        """Yield the signals of an interval with the part of it in which each serves."""
        for timeline in self.uses.values():
            for span in timeline.within(from_us, until_us):
                yield span.from_us, span.until_us, span.value

    def names(self) -> set[tuple[str, str]]:
        """Return the name and the quantity of every signal."""
        spans = (span for timeline in self.uses.values() for span in timeline.spans)
        return {(span.value.signal, span.value.quantity) for span in spans}


def signals_of(tables: Sequence[SignalKeys], file: str) -> DeclaredSignals:
    """Return what a site file declares of signals.

    Args:
        tables: `[[signal]]`.
        file: its name, for messages.

    Raises:
        UserError: two tables say different things of one time.
    """
    spans: dict[str, list[Span[Any]]] = {}
    for keys in tables:
        for purpose, value in _values(keys):
            spans.setdefault(purpose, []).append(Span(keys.from_us, keys.until_us, value))
    found = {purpose: Timeline(own) for purpose, own in spans.items()}
    for purpose, timeline in found.items():
        _check(purpose, timeline, file)
    if "contracted" in found and "contracted_kw" in found:
        both = Timeline([*found["contracted"].spans, *found["contracted_kw"].spans])
        _check("contracted", both, file)
    contracted_mw = found.pop("contracted_kw", Timeline())
    embodied_ug = found.pop("embodied", Timeline())
    return DeclaredSignals(found, contracted_mw, embodied_ug)


def _values(keys: SignalKeys) -> Iterable[tuple[str, Any]]:
    if keys.carbon is not None:
        yield "carbon", Use("carbon", keys.carbon, f"carbon_{keys.kind}")
    for purpose, quantity in _QUANTITIES.items():
        name = getattr(keys, purpose)
        if name is not None:
            yield purpose, Use(purpose, name, quantity)
    if keys.contracted_kw is not None:
        yield "contracted_kw", round(keys.contracted_kw * _MW_PER_KW)
    if keys.embodied_g_per_gpu_hour is not None:
        yield "embodied", round(keys.embodied_g_per_gpu_hour * _UG_PER_G)


def _check(purpose: str, timeline: Timeline[Any], file: str) -> None:
    """Check that one thing holds at a time.

    Raises:
        UserError: two do.
    """
    overlap = timeline.overlap()
    if overlap is None:
        return
    first, second = overlap
    both = [getattr(one.value, "quantity", "") for one in overlap]
    why = "expected one at a time: end the first with `until`"
    if {*both} == {"carbon_average", "carbon_marginal"}:
        why = (
            "one is average and the other marginal: they answer different questions, and their "
            "emissions are never added; keep one"
        )
    times = " and ".join(show_span(one.from_us, one.until_us) or "always" for one in overlap)
    names = " and ".join(str(getattr(one.value, "signal", one.value)) for one in (first, second))
    raise UserError(f"{file}: [[signal]]: {purpose} is {names} at the same time ({times}): {why}")
