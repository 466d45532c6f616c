"""One name for each node: a node that is placed as `gpu-1` and metered as `gpu-1.example.org`."""

from __future__ import annotations

from tokenergy_collectors.lake.nodenames import NodeNames


def node_key(names: NodeNames, name: str) -> str:
    """Return the longest of the names under which a node is placed; an unknown name as it is."""
    return max(names.recorded(name), key=lambda one: (len(one), one), default=name)
