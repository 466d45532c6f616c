"""A device has one identity however it is named, as of the time; what fits two names neither."""

from __future__ import annotations

import pytest

from tokenergy_collectors.lake.devicehistory import DeviceHistory, Found, Sighting

A = "GPU-8932f930-d72c-4106-c12f-20bd9faed9f6"
B = "GPU-8932f931-d72c-4106-c12f-20bd9faed9f6"
DIGITS = "GPU-12345678-d72c-4106-c12f-20bd9faed9f6"


def node(*more: Sighting) -> DeviceHistory:
    """Node n1 with two boards and a MIG instance, seen at 10."""
    return DeviceHistory(
        [
            Sighting(10, A, "n1", 0, "00000000:3B:00.0"),
            Sighting(10, B, "n1", 1, "00000000:4B:00.0"),
            Sighting(10, "MIG-77af", "n1", 0, "00000000:4B:00.0", mig_parent=B),
            *more,
        ]
    )


def find(history: DeviceHistory, text: str, at_us: int = 20, name: str = "n1") -> Found:
    return history.find({name}, text, at_us)


@pytest.mark.parametrize(
    "text",
    [
        *("0", "00", A, A.lower(), A.upper(), A.removeprefix("GPU-"), "GPU-8932f930", "8932F930"),
        *("00000000:3B:00.0", "0000:3b:00.0", "3B:00.0", "3b:00"),
    ],
)
def test_every_way_to_name_a_board(text: str) -> None:
    assert find(node(), text) == Found(A)


def test_a_device_file_is_by_minor_number_where_it_is_known() -> None:
    found = find(node(), "nvidia1")
    assert found.device_id == B
    assert found.remark is not None
    assert (found.remark.case, found.remark.text) == ("assumed", "read as index 1")
    minors = node(Sighting(11, A, "n1", 0, minor=1), Sighting(11, B, "n1", 1, minor=0))
    assert find(minors, "nvidia1") == Found(A)
    assert find(minors, "/dev/nvidia0") == Found(B)
    assert find(minors, "nvidia2").device_id is None


def test_a_mig_instance_by_its_id_and_never_by_the_index_of_its_board() -> None:
    assert find(node(), "MIG-77af") == Found("MIG-77af")
    assert find(node(), "mig-77") == Found("MIG-77af")


@pytest.mark.parametrize(
    ("text", "case"),
    [
        *(("GPU-8932", "ambiguous"), ("8932f93", "ambiguous")),
        *(("2", "unknown"), ("GPU-dead", "unknown"), ("0000:3C:00.0", "unknown")),
        *(("00000001:3B:00.0", "unknown"), ("893", "unknown"), ("free text", "unknown")),
    ],
)
def test_what_fits_none_or_several_names_no_device(text: str, case: str) -> None:
    found = find(node(), text)
    assert found.device_id is None
    assert found.remark is not None
    assert found.remark.case == case


def test_an_address_without_its_domain_may_fit_two() -> None:
    history = node(Sighting(11, "GPU-c", "n1", 2, "00000001:3B:00.0"))
    assert find(history, "0001:3B:00.0") == Found("GPU-c")
    assert find(history, "0000:3B:00.0") == Found(A)
    assert find(history, "3B:00.0").device_id is None


def test_digits_are_an_index_unless_they_begin_a_uuid() -> None:
    assert find(node(Sighting(11, DIGITS, "n1", 2)), "12345678") == Found(DIGITS)


def test_a_renumbered_board_has_its_new_index_from_then_on_only() -> None:
    history = node(Sighting(30, A, "n1", 1), Sighting(33, B, "n1", 0))
    assert [find(history, "0", at).device_id for at in (5, 10, 29, 30, 33, 99)] == [
        *(A, A, A),
        *(B, B, B),  # between the two rows of the change, the next one tells
    ]
    assert [find(history, "1", at).device_id for at in (29, 30, 33)] == [B, A, A]


def test_a_replaced_board_gives_its_index_to_its_successor() -> None:
    history = node(Sighting(30, "GPU-c", "n1", 0))
    assert [find(history, "0", at).device_id for at in (29, 30)] == [A, "GPU-c"]
    assert find(history, A, 30) == Found(A)


def test_a_board_on_another_node_or_with_another_index_leaves_no_name_behind() -> None:
    history = node(Sighting(30, A, "n2", 0), Sighting(30, B, "n1", 0))
    assert find(history, "0", 30).device_id == B
    assert find(history, "1", 30).device_id is None
    assert find(history, "0", 30, "n2").device_id == A
    assert find(history, "GPU-8932", 30).device_id == B  # only one is still here


def test_two_boards_with_one_index_at_once_name_neither() -> None:
    history = DeviceHistory([Sighting(10, name, "n1", 0) for name in ("GPU-a", "GPU-b")])
    for at in (5, 10, 20):
        assert find(history, "0", at).device_id is None


def test_a_row_that_tells_no_index_keeps_the_one_before() -> None:
    history = node(Sighting(30, A, "n1", 1), Sighting(30, B, "n1", 0), Sighting(40, A, "n1"))
    assert find(history, "0", 50).device_id == B
    assert find(history, "1", 50).device_id == A


def test_a_node_under_two_names_has_one_history() -> None:
    history = node(Sighting(30, A, "n1.org", 1), Sighting(30, B, "n1.org", 0))
    both = {"n1", "n1.org"}
    assert [history.find(both, "0", at).device_id for at in (20, 30)] == [A, B]


def test_a_board_that_comes_later_makes_no_earlier_name_ambiguous() -> None:
    later = 10**9
    history = DeviceHistory([Sighting(10, A, "n1", 0), Sighting(later, B, "n1", 1)])
    for at in (5, 10, later - 10**8):
        assert find(history, "GPU-8932", at) == Found(A)
    assert find(history, "GPU-8932", later).device_id is None
    # The first rows of the boards of a node may be some milliseconds apart.
    together = DeviceHistory([Sighting(10, A, "n1", 0), Sighting(5_010, B, "n1", 1)])
    assert find(together, "GPU-8932", 9).device_id is None


def test_the_start_of_a_uuid_is_looked_for_on_its_node_only() -> None:
    history = node(Sighting(10, "GPU-beef0001", "n2", 0))
    assert find(history, "GPU-beef").device_id is None
    assert find(history, "gpu-BEEF0001") == Found("GPU-beef0001")
