from __future__ import annotations

from tokenergy_collectors.base.leftout import LeftOut, shown


def test_one_line_of_words_for_each_reason() -> None:
    left_out = LeftOut()
    assert (left_out.count, left_out.of("no reading"), left_out.lines()) == (0, 0, [])
    left_out.add("no reading", 5, "No devices\tfound")
    left_out.add("cut off", 7, "2024")
    left_out.add("no reading", 9, "again")
    assert (left_out.count, left_out.of("no reading")) == (3, 2)
    assert left_out.lines() == [
        r"left out 2 lines: no reading (first: line 5, 'No devices\tfound')",
        "left out 1 line: cut off (line 7, '2024')",
    ]


def test_what_a_terminal_would_obey_is_escaped_and_long_texts_are_cut() -> None:
    text = shown("\0\x1b[31m\x9b1m\r\n\u202e" + "x" * 500)
    assert text.isprintable()
    assert len(text) < 130
