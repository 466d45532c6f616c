"""What the checks found, as a file that node_exporter's textfile collector shows to Prometheus.

In: the findings. Out: a `*.prom` file. Prometheus alerts on it without asking the lake.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenergy_collectors.base.output import write_text

_ROWS = "tokenergy_check_offending_rows"
_TIME = "tokenergy_check_timestamp_seconds"


def write_prom(path: Path, findings: Iterable[tuple[str, bool, int]], now_s: float) -> None:
    """Replace the file as a whole: whoever reads it sees the results of one run.

    Args:
        path: the file.
        findings: name of each check, whether its rows are a breach, and how many rows it found.
        now_s: when the checks ended (s UTC).

    Raises:
        UserError: the file cannot be written.
    """
    lines = [
        f"# HELP {_ROWS} Rows that a check objects to; fatal: whether that is a breach.",
        f"# TYPE {_ROWS} gauge",
        *(
            f'{_ROWS}{{check="{name}",fatal="{str(fatal).lower()}"}} {rows}'
            for name, fatal, rows in findings
        ),
        f"# HELP {_TIME} When the checks ended (s UTC).",
        f"# TYPE {_TIME} gauge",
        f"{_TIME} {now_s:.0f}",
    ]
    write_text("\n".join([*lines, ""]), path)
