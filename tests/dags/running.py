"""Runs code beside the DAGs in an Airflow, and hands back what it found."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from tests.support.airflow import Airflow

MARK = "RESULT "


def script(airflow: Airflow, code: str, **env: str) -> tuple[Any, str]:
    """Run code beside the DAGs; return what it gave to `tell`, and all that was printed."""
    tell = f"import json\ndef tell(value): print({MARK!r} + json.dumps(value), flush=True)\n"
    done = airflow.run(["-c", tell + textwrap.dedent(code)], env)
    told = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    assert done.returncode == 0, done.stdout
    assert len(told) == 1, done.stdout
    return json.loads(told[0].removeprefix(MARK)), done.stdout
