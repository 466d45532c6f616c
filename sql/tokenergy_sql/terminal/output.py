"""Where the answer of a command goes, and in which form: what all tables have in common.

In: the options `--format`, `--columns`, `--wide` and `--output`; rows with their tables. Out: on
standard output or in a file, tables that fit the terminal, or exact rows as JSON, CSV or Parquet.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.output import require_writable, writing
from tokenergy_sql.terminal.choosing import choose, no_column, parse_columns, require_headings
from tokenergy_sql.terminal.folding import fold, uncut
from tokenergy_sql.terminal.grid import Grid
from tokenergy_sql.terminal.jsontext import unique
from tokenergy_sql.terminal.rowtext import arrow_table, write_rows
from tokenergy_sql.terminal.table import console

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.console import RenderableType

FORMATS = ("table", "json", "csv", "parquet")
"""What `--format` takes; all but the first are for programs."""

HINT = "all of them: --wide"

Part = Grid | str
"""A table, or a line of text around tables."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a user wants of an answer; `asked` makes it of options.

    Attributes:
        format: one of `FORMATS`.
        columns: names of the columns, in their order; all if empty. See `choosing.choose`.
        wide: show all columns of a table, in several tables if they do not fit.
        file: where to write; None: standard output.
    """

    format: str = "table"
    columns: tuple[str, ...] = ()
    wide: bool = False
    file: Path | None = None

    @property
    def is_table(self) -> bool:
        """Whether people read it, not programs."""
        return self.format == "table"

    def require(self, names: Sequence[str], headings: Sequence[str]) -> None:
        """Return if all columns that were asked for can be there; for a command whose work is long.

        Args:
            names: of the columns of rows, as csv and json have them.
            headings: that the tables may have.

        Raises:
            UserError: neither has a column of a name.
        """
        if self.is_table:
            require_headings(self.columns, headings, names)
        else:
            self.places(names)

    def show(
        self,
        rows: Sequence[Mapping[str, Any]],
        parts: Callable[[], Sequence[Part]],
        *,
        names: Sequence[str] | None = None,
        schema: pa.Schema | None = None,
        out: TextIO | None = None,
    ) -> None:
        """Write an answer.

        Args:
            rows: for programs; by column name.
            parts: returns the same for people.
            names: of the columns; None: those of the rows.
            schema: types of columns in Parquet, where they are known.
            out: instead of standard output.

        Raises:
            UserError: no column has one of the names that were given, or see `writing`.
        """
        if self.is_table:
            self.show_tables(parts(), out)
            return
        known = [*dict.fromkeys(name for row in rows for name in row)] if names is None else names
        self.show_rows(known, [[row.get(name) for name in known] for row in rows], schema, out)

    def show_tables(self, parts: Sequence[Part], out: TextIO | None = None) -> None:
        """Write tables and the lines around them; see `show`."""
        if self.columns:
            grids = choose([part for part in parts if isinstance(part, Grid)], self.columns)
            lines = [part for part in parts if isinstance(part, str)]
            parts = [*grids, *lines]
        with self._stream(out) as stream:
            terminal = console(stream)
            for part in parts:
                # A number that is wider than the terminal is still not cut.
                terminal.print(self._shown(part, terminal.width), crop=False)

    def _shown(self, part: Part, width: int) -> RenderableType:
        if isinstance(part, Grid):
            return replace(part, wide=self.wide or part.wide, hint=HINT)
        return uncut(fold(part, width))

    def show_rows(
        self,
        names: Sequence[str],
        rows: Sequence[Sequence[Any]],
        schema: pa.Schema | None = None,
        out: TextIO | None = None,
    ) -> None:
        """Write rows for programs; see `show`."""
        places = self.places(names)
        names, rows = [names[i] for i in places], [[row[i] for i in places] for row in rows]
        if self.format == "parquet":
            self.write_parquet(lambda path: _write(arrow_table(names, rows, schema), path))
            return
        with self._stream(out) as stream:
            write_rows(names, rows, self.format, stream)

    def places(self, names: Sequence[str]) -> list[int]:
        """Return which of some columns are wanted, in their order.

        Raises:
            UserError: none has one of the names that were given.
        """
        if not self.columns or not names:
            return [*range(len(names))]
        known = unique(names)
        for name in self.columns:
            if name not in known:
                raise no_column(name, known)
        return [known.index(name) for name in self.columns]

    def write_parquet(self, write: Callable[[Path], None]) -> None:
        """Write a Parquet file where it is wanted.

        Args:
            write: is called with the path to write to.
        """
        if self.file is not None:
            with writing(self.file) as path:
                write(path)
            return
        # A Parquet file is written from its end, too: whole, and then to the pipe.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.parquet"
            write(path)
            sys.stdout.flush()
            sys.stdout.buffer.write(path.read_bytes())

    @contextmanager
    def _stream(self, out: TextIO | None) -> Iterator[TextIO]:
        if self.file is None:
            yield out or sys.stdout
            return
        with writing(self.file) as path, path.open("w", encoding="utf-8", newline="") as handle:
            yield handle


def asked(
    output_format: str = "table",
    columns: str | None = None,
    wide: bool = False,
    file: Path | None = None,
) -> Output:
    """Return the output that options ask for; what cannot be is refused before any work.

    Raises:
        UserError: there is no such format, Parquet would go to a terminal, the file cannot be
            written, or `--columns` names nothing.
    """
    if output_format not in FORMATS:
        expected = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        raise UserError(f"--format {output_format!r}: expected {expected}")
    if output_format == "parquet" and file is None and sys.stdout.isatty():
        raise UserError(
            "--format parquet: is not for a terminal; add --output FILE, or pipe it to a program"
        )
    if wide and output_format != "table":
        raise UserError(f"--wide: is for tables; --format {output_format} has all columns")
    chosen = parse_columns(columns)
    if file is not None:
        require_writable(file)
    return Output(output_format, chosen, wide, file)


def _write(table: pa.Table, path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, path, compression="zstd")
