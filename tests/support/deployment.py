"""What deploy/airflow says: its settings, its services, and its secrets, made as its users do."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.support.airflow import DAGS

ROOT = DAGS.parent
DEPLOY = ROOT / "deploy" / "airflow"


def settings() -> tuple[dict[str, str], set[str]]:
    """The lines of the environment file that are set, and the names of the others."""
    lines = (DEPLOY / "airflow.env").read_text("utf-8").splitlines()
    given = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]", line))
    unset = {match[1] for line in lines if (match := re.match(r"#([A-Z_]+)=", line))}
    return given, unset


def compose(name: str = "compose.yaml") -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / name).read_text("utf-8")))


def make_secrets(folder: Path) -> Path:
    """Run make-secrets.sh in a folder; return the folder with the secrets."""
    script = folder / "make-secrets.sh"
    shutil.copyfile(DEPLOY / script.name, script)
    subprocess.run(["sh", str(script)], capture_output=True, check=True)
    return folder / "secrets"


def on_this_host(text: str, secrets: Path) -> str:
    """Return text of the compose file as this host understands it: `$$` is `$`; paths."""
    return text.replace("$$", "$").replace("/run/secrets/", f"{secrets}/")
