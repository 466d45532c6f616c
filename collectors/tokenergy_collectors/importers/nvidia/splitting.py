"""Where a line of a log is cut into cells: its delimiter, and commas that are none.

In: a line, or its cells. Out: the delimiter; the cells, where a decimal comma cut one in two.
"""

from __future__ import annotations

import re

from tokenergy_collectors.base.csvfile import BadValueError
from tokenergy_collectors.importers.nvidia.columns import Columns

_TO_SECONDS = re.compile(r".*\d:\d\d", re.ASCII)
_COMMA_SECONDS = re.compile(r"(?:\d{3}|\d{6}|\d{9})|\d{1,9}\s*(?:Z|[+-]\d\d:?\d\d)", re.ASCII)
"""What follows a decimal comma in a stamp: ms, us or ns, or any fraction before an offset."""

_WHOLE_WATTS = re.compile(r"\d{2,4}", re.ASCII)
_COMMA_WATTS = re.compile(r"\d{1,2}(?: ?W)?", re.ASCII)


def delimiter_of(line: str) -> str:
    """Return what separates the cells of a line: semicolons or tabs only where commas do not."""
    return "," if "," in line else max(",;\t", key=line.count)


def joined(cells: list[str], columns: Columns) -> list[str]:
    """Return cells of which a stamp with a comma before the fraction was split in two.

    Raises:
        BadValueError: a power with a decimal comma may have been split instead: taking it for a
            fraction of a second would move every later cell by one column.
    """
    stamp = columns.stamp
    power = next(
        (
            f"{cells[place]},{cells[place + 1]}"
            for place in columns.powers.values()
            if _WHOLE_WATTS.fullmatch(cells[place].strip())
            and _COMMA_WATTS.fullmatch(cells[place + 1].strip())
        ),
        None,
    )
    if power is not None:
        raise BadValueError(f"power {power!r} seems to have a decimal comma: expected a point")
    if _TO_SECONDS.fullmatch(cells[stamp]) and _COMMA_SECONDS.fullmatch(cells[stamp + 1].strip()):
        return [*cells[:stamp], f"{cells[stamp]}.{cells[stamp + 1]}", *cells[stamp + 2 :]]
    return cells
