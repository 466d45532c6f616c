"""Airflow runs in processes of its own: its warnings and its global state stay out of pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

DAGS = Path(__file__).parents[2] / "dags"


@dataclass(frozen=True)
class Airflow:
    """An Airflow installation of its own, with its database in a temporary folder.

    Attributes:
        home: its folder.
        python: the Python of its environment.
    """

    home: Path
    python: str = sys.executable

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of its processes: ours, without the settings of another Airflow.

        The packages are found where this process finds them.
        """
        ours = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "TOKENERGY"))}
        ours |= {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PYTHONPATH": os.pathsep.join(
                [str(DAGS), *filter(None, [os.environ.get("PYTHONPATH")])]
            ),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return {**ours, **(more or {})}

    def run(
        self, arguments: Sequence[str], env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments; return what came of it, both streams in stdout."""
        return subprocess.run(
            [self.python, *arguments],
            env=self.environment(env),
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
