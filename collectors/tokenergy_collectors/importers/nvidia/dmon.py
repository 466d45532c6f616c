"""Lines of `nvidia-smi dmon -o DT`: columns in line, headers that begin with `#`, `-` for nothing.

In: lines. Out: cells as a log of `--query-gpu` has them, under its names and with their units.

dmon prints power in whole watts and stamps to the second; both are in the bounds, as of any log.
"""

from __future__ import annotations

from tokenergy_collectors.base.csvfile import BadValueError

_NAMES = {
    "gpu": "index",
    "pwr": "power.draw [W]",
    "gtemp": "temperature.gpu",
    "sm": "utilization.gpu [%]",
    "mem": "utilization.memory [%]",
    "pclk": "clocks.current.sm [MHz]",
}
"""dmon's columns, and what `--query-gpu` calls them; others keep their name."""

_NOTHING = "[N/A]"


class Dmon:
    """Reads the lines of one log.

    Args:
        header: its first line.

    Raises:
        BadValueError: its lines have no date and time.
    """

    def __init__(self, header: str) -> None:
        self._count = 0
        self.names = self.header(header)

    def header(self, line: str) -> list[str]:
        """Return the names of a header: the stamp, then dmon's columns.

        Raises:
            BadValueError: it has no date and time.
        """
        names = line.lstrip("# ").split()
        if [name.lower() for name in names[:2]] != ["date", "time"]:
            raise BadValueError(
                "is a log of nvidia-smi dmon without date and time: record it with -o DT, as in "
                "nvidia-smi dmon -s pu -o DT"
            )
        self._count = len(names)
        return ["timestamp", *(_NAMES.get(name.lower(), name) for name in names[2:])]

    def is_header(self, line: str) -> bool:
        """Return whether a line names columns; the other line that begins with # has the units."""
        return line.lstrip("# ").lower().startswith("date")

    def cells(self, line: str) -> list[str]:
        """Return the cells of a line: its date and time are one."""
        cells = [_NOTHING if cell == "-" else cell for cell in line.split()]
        if len(cells) < 2:
            return cells
        date = cells[0]
        if len(date) == 8 and date.isdecimal():
            date = f"{date[:4]}/{date[4:6]}/{date[6:]}"
        return [f"{date} {cells[1]}", *cells[2:]]
