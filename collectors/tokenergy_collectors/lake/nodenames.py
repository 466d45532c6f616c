"""One node by all its names: a short host name, its full form, and either in capitals.

In: the names of nodes that a lake and its job lists use. Out: which of them are the same node.

`gpu-01` and `gpu-01.example.org` are one node, as long as no `gpu-01.other.org` is known: then the
short name could be either, and each name stays a node of its own. Names in two domains are two
nodes. An IP address has no short form.
"""

from __future__ import annotations

from collections.abc import Iterable
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


@cache
def _labels(name: str) -> _Labels:
    labels = tuple(name.lower().rstrip(".").split("."))
    is_address = all(label.isdigit() for label in labels) or ":" in name
    return (name.lower(),) if is_address else labels
