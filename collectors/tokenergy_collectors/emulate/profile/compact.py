"""Profiles of many nodes, written compactly: ranges of nodes, whole nodes, one job a node.

In: the tables of a profile as read from TOML. Out: the same with every node, device and job written
out. Anything else stays as it is: the validation of the profile names what is wrong.

    [nodes."gpu-{000..127}"]                     128 nodes, gpu-000 to gpu-127
    devices = { "gpu-{000..015}" = "all" }       every board of sixteen nodes
    per_node = true                              one job a node, its id ending in the node's name
"""

from __future__ import annotations

from typing import Any

from tokenergy_collectors.base.nameranges import expand_names

_BOARDS_OF_A_NODE = 8

Table = dict[str, Any]


def expanded(values: Table) -> Table:
    """Return a profile's tables with ranges of nodes and jobs written out.

    Raises:
        ValueError: a node occurs twice, or a range cannot be used.
    """
    nodes = values.get("nodes")
    if not isinstance(nodes, dict):
        return values
    every: Table = {}
    for key, node in nodes.items():
        for name in expand_names(key):
            if name in every:
                raise ValueError(f"nodes.{key}: {name!r} is declared twice")
            every[name] = node
    found = {**values, "nodes": every}
    for kind in ("jobs", "strays"):
        if isinstance(values.get(kind), list):
            found[kind] = [one for placed in values[kind] for one in _placed(placed, every)]
    return found


def _placed(placed: Any, nodes: Table) -> list[Any]:
    """Return a job with its devices written out, or one job a node."""
    if not isinstance(placed, dict) or not isinstance(placed.get("devices"), dict):
        return [placed]
    devices: Table = {}
    for key, indices in placed["devices"].items():
        for name in expand_names(key):
            if name in devices:
                raise ValueError(f"{placed.get('id')!r}: devices lists {name!r} twice")
            devices[name] = _whole(nodes.get(name)) if indices == "all" else indices
    if placed.get("per_node") is not True:
        return [{**placed, "devices": devices}]
    one = {key: value for key, value in placed.items() if key != "per_node"}
    return [
        {**one, "id": f"{placed.get('id')}-{name}", "devices": {name: indices}}
        for name, indices in devices.items()
    ]


def _whole(node: Any) -> list[int]:
    """Return the indices of all boards of a node's table; none if the table is not valid."""
    # This runs before validation: `count` may still be anything.
    count = node.get("count", _BOARDS_OF_A_NODE) if isinstance(node, dict) else 0
    return list(range(count)) if isinstance(count, int) else []
