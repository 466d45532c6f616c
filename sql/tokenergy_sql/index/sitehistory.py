"""The constants that each hour was derived with: what the site file says now, and what it said.

In: the site file, the inputs that each hour was last derived from. Out: the constants of an hour,
and a line that says where they differ from the file.

A value with a date holds from that date, in hours that were derived before too: that is a
correction. A value without a date holds for hours that are not derived yet, and where none was
declared before; all other hours keep what they were derived with.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from tokenergy_sql.index.calibration import Calibration
from tokenergy_sql.index.site import Constants, Site
from tokenergy_sql.index.slo import named

KEY = "constants"
"""Key, among the inputs recorded of an hour, of the name of its constants."""

Stored = dict[str, dict[str, Any]]
"""Constants by their name, as JSON has them."""

_MOST_NAMED = 3
"""Changes that a line names."""


class SiteHistory:
    """The constants of every hour.

    Args:
        site: the site file.
        recorded: the inputs that each hour was last derived from.
        stored: the constants that they name.
    """

    def __init__(
        self, site: Site, recorded: Mapping[int, Mapping[str, str]], stored: Stored
    ) -> None:
        self.site = site
        self._stored = dict(stored)
        self._names: dict[int, str] = {}
        self._found: dict[tuple[str, int], Constants] = {}
        self._lost: list[int] = []
        by_earlier_release = site_digest(site.undated(), site.calibration)
        for hour_us, inputs in sorted(recorded.items()):
            if inputs.get(KEY) in self._stored:
                self._names[hour_us] = inputs[KEY]
            elif inputs.get("site") == by_earlier_release:
                self._names[hour_us] = self._store(site.undated().in_order())
            else:
                self._lost.append(hour_us)

    def at(self, hour_us: int) -> Constants:
        """Return the constants of an hour."""
        name = self._names.get(hour_us, "")
        key = name, self.site.periods_by(hour_us)
        if key not in self._found:
            undated = self.site.undated()
            before = Constants(**self._stored[name]).completed_by(undated) if name else undated
            self._found[key] = self.site.at(hour_us, before)
        return self._found[key]

    def name_of(self, hour_us: int) -> str:
        """Return the name under which the constants of an hour are stored."""
        return self._store(self.at(hour_us))

    def name_known(self, recorded: MutableMapping[int, dict[str, str]]) -> Stored:
        """Add the name to hours of which the constants are known; return all that hours name."""
        for hour_us, name in self._names.items():
            if KEY not in (inputs := recorded[hour_us]):
                recorded[hour_us] = {**inputs, KEY: name}
        names = {inputs.get(KEY, "") for inputs in recorded.values()}
        return {name: found for name, found in sorted(self._stored.items()) if name in names}

    def named(self, inputs: Mapping[str, str]) -> Stored:
        """Return the constants that an hour's inputs name."""
        name = inputs.get(KEY, "")
        return {name: self._stored[name]} if name in self._stored else {}

    def _store(self, constants: Constants) -> str:
        values = asdict(constants)
        if not constants.slo:
            # As earlier releases stored them, under the same name.
            del values["slo"]
        if not constants.host_models:
            del values["host_models"]
        name = hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]
        self._stored[name] = values
        return name

    def remarks(self, nodes: Iterable[str]) -> list[str]:
        """Return lines on what the site file declares to no effect, or to an unexpected one.

        Args:
            nodes: those of the lake.
        """
        lines = [
            f"site: nodes.{node}: no device of a node of this name was recorded, so nothing has "
            "its host_w"
            for node in self.site.unknown_nodes(nodes)
        ]
        changes: dict[str, set[str]] = {}
        hours = []
        differences: dict[tuple[str, int], list[tuple[str, str, str]]] = {}
        for hour_us, constants in self._names.items():
            # The hours of a year have few constants.
            key = constants, self.site.periods_by(hour_us)
            if (found := differences.get(key)) is None:
                found = [*_differences(self.at(hour_us), self.site.at(hour_us))]
                differences[key] = found
            hours += [hour_us] if found else []
            for name, old, new in found:
                changes.setdefault(f"{name} = {new}", set()).add(old)
        if hours:
            lines.append(_kept_line(hours, changes))
        if self._lost:
            lines.append(
                f"site: {len(self._lost)} hours were indexed by an earlier release, with other "
                "constants or another calibration that it did not record; they now have those of "
                "the site file"
            )
        return lines


def _kept_line(hours: list[int], changes: dict[str, set[str]]) -> str:
    """Return the line on hours that keep former values.

    Args:
        hours: these hours.
        changes: each value of the file, as its line there, and the former values.
    """
    named = [f"{new} (was {', '.join(sorted(old))})" for new, old in changes.items()]
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    first = datetime.fromtimestamp(hours[0] // 1_000_000, UTC)
    one = len(hours) == 1
    return (
        f"site: {', '.join(named[:_MOST_NAMED])}{more} has no date, so the "
        f"{'1 hour that was' if one else f'{len(hours)} hours that were'} indexed before "
        f"{'keeps' if one else 'keep'} the former value; to correct {'it' if one else 'them'} too, "
        f"put the new one under [[period]] with from = {first:%Y-%m-%dT%H:%M:%SZ} in the site file"
    )


def site_digest(constants: Constants, calibration: Calibration) -> str:
    """Return the digest of an hour's constants and of the calibration.

    Its text is that of earlier releases, so that an hour with the same constants is not stale.
    """
    text = (
        f"Site(pue_ppm={constants.pue_ppm!r}, host_mw={constants.host_mw!r}, "
        f"node_host_mw={constants.node_host_mw!r}, calibration={calibration!r})\n"
    )
    if constants.slo:
        text += f"{constants.slo!r}\n"
    if constants.host_models:
        text += f"host_models={constants.host_models!r}\n"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _differences(kept: Constants, declared: Constants) -> Iterator[tuple[str, str, str]]:
    """Yield what differs: its name as in the site file, the value kept, the value declared."""
    if kept.pue_ppm != declared.pue_ppm:
        yield "pue", _text(kept.pue_ppm, 1e6), _text(declared.pue_ppm, 1e6)
    if kept.host_mw != declared.host_mw:
        yield "host_w", _text(kept.host_mw, 1e3), _text(declared.host_mw, 1e3)
    for node in sorted({*kept.node_host_mw, *declared.node_host_mw}):
        old, new = kept.host_of(node), declared.host_of(node)
        if old != new and (node in declared.node_host_mw or old != kept.host_mw):
            yield f"nodes.{node}.host_w", _text(old, 1e3), _text(new, 1e3)

    limits, new_limits = dict(named(kept.slo)), dict(named(declared.slo))
    for name in sorted({*limits, *new_limits}):
        if limits.get(name) != new_limits.get(name):
            yield name, _text(limits.get(name), 1e6), _text(new_limits.get(name), 1e6)

    for node in sorted({*kept.host_models, *declared.host_models}):
        model, new_model = kept.host_models.get(node), declared.host_models.get(node)
        if model != new_model:
            yield f"host_model of {node or 'all nodes'}", _figures(model), _figures(new_model)


def _figures(model: Mapping[str, int] | None) -> str:
    if model is None:
        return "not declared"
    return " ".join(f"{name} {figure}" for name, figure in model.items())


def _text(value: int | None, unit: float) -> str:
    return "not declared" if value is None else f"{value / unit:.10g}"
