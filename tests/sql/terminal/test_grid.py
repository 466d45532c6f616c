"""Tables on terminals of any width: no number is broken, no column is lost without a word."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from tokenergy_collectors.lake import Lake
from tokenergy_sql.terminal.dimensions import dimension_table
from tokenergy_sql.terminal.efficiency import all_jobs_table, job_tables
from tokenergy_sql.terminal.folding import fold, pieces_of
from tokenergy_sql.terminal.grid import Grid, Heading
from tokenergy_sql.terminal.jobtable import job_table
from tokenergy_sql.terminal.table import significant

WIDTHS = (40, 41, 57, 60, 72, 80, 99, 100, 101, 120, 132, 149, 150, 151, 180, 200)
_NUMBER = re.compile(r"\d[\d.,]*\d|\d")


def printed(grid: Grid, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width).print(grid, crop=False)
    return out.getvalue().splitlines()


numbers = st.one_of(
    st.integers(-(10**15), 10**15).map(lambda n: f"{n:,}"),
    st.floats(1e-9, 1e12).map(lambda x: f"{x:.4g}"),
    st.tuples(st.integers(0, 10**9), st.integers(0, 10**12)).map(lambda t: f"[{t[0]:,}, {t[1]:,}]"),
    st.just("-"),
)
words = st.text("abcXYZ-_/ 0123456789é模", max_size=70)
indented = st.builds(lambda spaces, text: " " * spaces + text, st.integers(0, 12), words)


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    count = draw(st.integers(1, 14))
    headings = []
    for _ in range(count):
        text = draw(st.text("abc %[]/,", min_size=1, max_size=18)).strip() or "x"
        headings.append(
            Heading(text, draw(st.sampled_from(["left", "right"])), draw(st.integers(0, 2)))
        )
    cells = [numbers if h.justify == "right" else st.one_of(indented, numbers) for h in headings]
    return Grid(headings, draw(st.lists(st.tuples(*cells), max_size=5)), draw(words))


def whole_numbers(text: str) -> set[str]:
    """Return the numbers of a text that no digit, point or comma of another number is beside."""
    return {*_NUMBER.findall(text)}


@settings(max_examples=300, deadline=None)
@given(grids(), st.integers(8, 200), st.booleans())
def test_every_number_that_is_shown_is_shown_whole(grid: Grid, width: int, wide: bool) -> None:
    grid = replace(grid, wide=wide)
    lines = printed(grid, width)
    text = "\n".join(lines)
    shown = whole_numbers(text)
    # No piece of a number is on the terminal: each is one of what all the width there is shows.
    assert shown <= whole_numbers("\n".join(printed(grid, 100_000)))
    left_out = re.search(r"^not( shown,.*|)$", text, re.MULTILINE)
    for row in grid.rows:
        for heading, cell in zip(grid.headings, row, strict=True):
            if not (left_out and heading.rank):
                assert whole_numbers(cell) <= shown, (cell, width)
    assert not (wide and left_out)


@settings(max_examples=300, deadline=None)
@given(grids(), st.integers(8, 200), st.booleans())
def test_no_line_is_wider_than_the_terminal_but_for_one_number(
    grid: Grid, width: int, wide: bool
) -> None:
    for line in printed(replace(grid, wide=wide), width):
        assert cell_len(line) <= width or len(pieces_of(line.strip())) == 1, (line, width)


def test_the_case_that_was_broken() -> None:
    headings = [Heading("job"), Heading("tokens", "right"), *[Heading("x" * 20, "right")] * 4]
    row = ("train-1b", "1,578,106,880", *["0.009123"] * 4)
    for width in range(40, 201):
        assert "1,578,106,880" in "\n".join(printed(Grid(headings, [row]), width))


def test_what_is_left_out_is_named_least_important_first() -> None:
    headings = [Heading("a"), Heading("b", rank=1), Heading("c", rank=2), Heading("d", rank=2)]
    grid = Grid(headings, [("1" * 15,) * 4])
    assert "not shown" not in "\n".join(printed(grid, 69))
    assert printed(grid, 68)[-1] == "not shown, for lack of width: d"
    assert "".join(printed(grid, 50)[-2:]).endswith("c, d")
    assert "b, c, d" in " ".join(printed(grid, 30)[-2:])


def test_a_list_instead_of_a_table_that_does_not_fit() -> None:
    headings = [Heading("job"), Heading("tokens", "right"), Heading("high", "right")]
    grid = Grid(headings, [("j", "1" * 18, "2" * 18)])
    assert printed(grid, 40) == [
        "-" * 20,
        "job     j",
        "tokens  " + "1" * 18,
        "high    " + "2" * 18,
    ]
    assert printed(grid, 22)[-4:] == ["tokens", "  " + "1" * 18, "high", "  " + "2" * 18]


def test_all_columns_in_several_tables_behind_their_label() -> None:
    headings = [Heading("job"), Heading("b", "right", 1), Heading("c", "right", 2), Heading("d")]
    grid = Grid(headings, [("j", "1" * 15, "2" * 15, "three")], wide=True)
    assert [line.split() for line in printed(grid, 25)] == [
        *(["job", "┃", "b"], ["━" * 4 + "╇" + "━" * 16], ["j", "│", "1" * 15], []),
        *(["job", "┃", "c"], ["━" * 4 + "╇" + "━" * 16], ["j", "│", "2" * 15], []),
        *(["job", "┃", "d"], ["━" * 4 + "╇" + "━" * 6], ["j", "│", "three"]),
    ]
    assert len(printed(grid, 60)) == 3
    assert printed(grid, 18)[0] == "-" * 18


def test_the_note_says_how_to_see_what_is_left_out_and_whose_bounds_they_are() -> None:
    headings = [Heading("a"), Heading("[low, high]", rank=1), Heading("b", rank=1)]
    headings.append(Heading("[low, high]", rank=1))
    grid = Grid(headings, [("1" * 30,) * 4], hint="all of them: --wide")
    assert " ".join(printed(grid, 40)[-3:]).endswith(
        "not shown, for lack of width: a [low, high], b, [low, high] (all of them: --wide)"
    )


def test_markup_is_text() -> None:
    assert "[b]x[/b]" in "\n".join(printed(Grid([Heading("[low]")], [("[b]x[/b]",)]), 80))


def test_words_are_folded_outside_of_numbers() -> None:
    assert fold("pod-1234567-abcdefgh", 12) == ["pod-1234567-", "abcdefgh"]
    assert fold("1,234,567 and 2", 9) == ["1,234,567", "and 2"]
    assert fold("1" * 20, 9) == ["1" * 20]


def test_names_are_folded_at_their_joints_and_indents_are_kept() -> None:
    assert fold("llama-3.3-70b-instruct-fp8", 20) == ["llama-3.3-70b-", "instruct-fp8"]
    assert fold("throughput-2026-01-15", 20) == ["throughput", "-2026-01-15"]
    assert fold("abcdefghijklmnop-x", 10) == ["abcdefghij", "klmnop-x"]
    assert fold("  because it is so", 12) == ["  because it", "  is so"]
    assert fold("    1,234,567,890 x", 14) == ["1,234,567,890", "x"]
    tree = Grid([Heading("place"), Heading("kW", "right")], [("      rack:a1-r1-abcdef", "1")])
    assert printed(tree, 28)[2].startswith("      rack:a1-r1-abcdef ")
    # A short name is not broken for its indent: rather a list.
    assert printed(tree, 27)[0] == "-" * 20


def test_a_number_has_all_its_whole_digits() -> None:
    assert [significant(x, 2) for x in (123.4, 99.6, 9.96, -123.4)] == ["123", "100", "10", "-123"]
    assert [significant(x, 3) for x in (999.4, 999.9, 1.5e-7)] == ["999", "1,000", "1.50e-07"]


@pytest.fixture(scope="module")
def of_a_lake(cluster: Lake) -> list[tuple[Grid, str]]:
    """Tables of the small cluster, each with its text where there is room for all of it."""
    grids = [
        *(dimension_table(cluster, d) for d in ("job", "rack", "workload")),
        job_table(cluster),
        all_jobs_table(cluster),
        *job_tables(cluster, "chat"),
    ]
    return [(grid, "\n".join(printed(grid, 100_000))) for grid in grids]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_tables_of_a_lake(of_a_lake: list[tuple[Grid, str]], width: int) -> None:
    for grid, whole in of_a_lake:
        text = "\n".join(printed(grid, width))
        for number in _NUMBER.findall(text):
            assert re.search(rf"(?<![\d.,]){re.escape(number)}(?![\d])", whole), (number, width)
        assert max(map(cell_len, text.splitlines())) <= width
