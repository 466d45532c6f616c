"""One node by all its names: a short host name, its full form, and either in capitals.

In: the names of nodes that a lake and its job lists use. Out: which of them are the same node.

`gpu-01` and `gpu-01.example.org` are one node, as long as no `gpu-01.other.org` is known: then the
short name could be either, and each name stays a node of its own. Names in two domains are two
nodes. An IP address has no short form.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from functools import cache

_Labels = tuple[str, ...]


class NodeNames:
    """The nodes behind some names.

    Args:
        recorded: names under which devices were recorded.
        listed: further names, from job lists: one of them may make a short name ambiguous.
    """

    def __init__(self, recorded: Iterable[str], listed: Iterable[str] = ()) -> None:
        self._recorded = frozenset(recorded)
        names = self._recorded | frozenset(listed)
        by_first: dict[str, list[_Labels]] = {}
        for name in names:
            labels = _labels(name)
            by_first.setdefault(labels[0], []).append(labels)
        self._by_first = {first: sorted(set(found)) for first, found in by_first.items()}
        self._same: dict[_Labels, frozenset[str]] = {}
        self._found: dict[str, frozenset[str]] = {}
        for name in names:
            key = self._node(_labels(name))
            self._same[key] = self._same.get(key, frozenset()) | {name}

    def same(self, name: str) -> frozenset[str]:
        """Return all names of the node that `name` names, `name` among them."""
        return self._same.get(self._node(_labels(name)), frozenset()) | {name}

    def recorded(self, name: str) -> frozenset[str]:
        """Return the names under which the devices of a node were recorded; none if unknown."""
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = self.same(name) & self._recorded
        return found

    def like(self, name: str) -> list[str]:
        """Return the names of recorded nodes whose short name is that of `name`, sorted."""
        first = _labels(name)[0]
        return sorted(one for one in self._recorded if _labels(one)[0] == first)

    def usual(self, name: str) -> str:
        """Return the name to use for a node: one under which its devices were recorded, if any."""
        found = self.recorded(name)
        return name if name in found or not found else max(found, key=lambda one: (len(one), one))

    def _node(self, labels: _Labels) -> _Labels:
        """Return the longest form of a name; the name itself if it has several."""
        longer = [
            other
            for other in self._by_first.get(labels[0], ())
            if len(other) > len(labels) and other[: len(labels)] == labels
        ]
        longest = max(longer, key=len, default=labels)
        one = all(longest[: len(other)] == other for other in longer)
        return longest if one else labels


class NodeNamesOverTime:
    """The nodes behind some names as of an instant: a name that comes later changes no earlier one.

    Args:
        recorded: names under which devices were recorded, and when first (us UTC).
        listed: further names, and the first time that a job list names them for.
        together_us: names that were recorded so close to one another came together.
    """

    def __init__(
        self, recorded: Mapping[str, int], listed: Mapping[str, int], together_us: int
    ) -> None:
        self._together_us = together_us
        self._every = NodeNames(recorded, listed)
        self._since: dict[str, list[tuple[int, str, bool]]] = {}
        for names, is_recorded in ((recorded, True), (listed, False)):
            for name, since_us in names.items():
                group = self._since.setdefault(_labels(name)[0], [])
                group.append((since_us, name, is_recorded))
        for group in self._since.values():
            group.sort()
        self._at: dict[tuple[str, int], NodeNames] = {}

    def at(self, name: str, at_us: int) -> NodeNames:
        """Return the names that the node of a name had as of an instant.

        They are those known by then; if no device was recorded by then, by the first that was.
        """
        first = _labels(name)[0]
        group = self._since.get(first, [])
        if len(group) < 3:  # fewer cannot be ambiguous
            return self._every
        seen_us = min((since_us for since_us, _, recorded in group if recorded), default=at_us)
        by_us = max(at_us, seen_us) + self._together_us
        known = bisect_right(group, by_us, key=lambda one: one[0])
        if known == len(group):
            return self._every
        names = self._at.get((first, known))
        if names is None:
            parts = [
                {n for _, n, is_recorded in group[:known] if is_recorded is r}
                for r in (True, False)
            ]
            names = self._at[first, known] = NodeNames(*parts)
        return names


def short_name(name: str) -> str:
    """Return the short form of a name: names of one node have the same."""
    return _labels(name)[0]


@cache
def _labels(name: str) -> _Labels:
    labels = tuple(name.lower().rstrip(".").split("."))
    is_address = all(label.isdigit() for label in labels) or ":" in name
    return (name.lower(),) if is_address else labels
