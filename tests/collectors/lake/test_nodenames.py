"""One node by all its names; a name that could be two nodes is neither."""

from __future__ import annotations

import pytest

from tokenergy_collectors.lake.nodenames import NodeNames


@pytest.mark.parametrize(
    ("recorded", "listed", "name", "found"),
    [
        ({"a.x.org"}, set(), "a", {"a.x.org"}),
        ({"a"}, set(), "a.x.org", {"a"}),
        ({"a"}, set(), "A", {"a"}),
        ({"a.x"}, set(), "a.x.org", {"a.x"}),
        ({"a", "a.x.org"}, set(), "a", {"a", "a.x.org"}),
        ({"a.x.org", "a.y.org"}, set(), "a", set()),
        ({"a", "a.x.org", "a.y.org"}, set(), "a", {"a"}),
        ({"a", "a.x.org", "a.y.org"}, set(), "a.x.org", {"a.x.org"}),
        ({"a"}, {"a.x.org", "a.y.org"}, "a.x.org", set()),
        ({"a.x.org"}, set(), "b", set()),
        ({"a-1.x.org"}, set(), "a", set()),
        ({"10.0.0.1"}, set(), "10", set()),
        ({"10"}, set(), "10.0.0.1", set()),
        ({"fe80::1"}, set(), "FE80::1", {"fe80::1"}),
    ],
)
def test_names_of_one_node(
    recorded: set[str], listed: set[str], name: str, found: set[str]
) -> None:
    names = NodeNames(recorded, {*listed, name})
    assert names.recorded(name) == found
    assert names.usual(name) == (name if name in found or not found else max(found, key=len))


def test_like_names_are_suggested() -> None:
    assert NodeNames({"a.y.org", "a.x.org", "b"}).like("a") == ["a.x.org", "a.y.org"]
