"""deploy/airflow: settings, compose file, image and chart values fit the code and each other.

Nothing is started: that needs a container engine. What is read here is what such an engine reads.
"""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.airflow import DAGS
from tests.support.deployment import DEPLOY, ROOT, compose, settings
from tokenergy_sql.scheduled.quality.limits import DEFAULTS, VARIABLES, texts_of
from tokenergy_sql.scheduled.settings import schedule_of

PARTS = ("api-server", "scheduler", "dag-processor", "triggerer", "worker-1", "worker-2")
WORKERS = ("worker-1", "worker-2")

_NAME = re.compile(r"TOKENERGY_[A-Z]+(?:_[A-Z]+)*(?![A-Z_{])")
_LAKE = "${TOKENERGY_DATA_DIR:"
_READ = ("dags", "sql/tokenergy_sql", "transforms/tokenergy_transforms")


def variables_of_the_code() -> set[str]:
    """The variables that anything reads which runs in a task, or where a DAG file is parsed."""
    files = (path for folder in _READ for path in (ROOT / folder).rglob("*.py"))
    found = {name for path in files for name in _NAME.findall(path.read_text("utf-8"))}
    return found | {*VARIABLES.values()}


def test_the_settings_are_those_that_the_code_reads_and_no_others() -> None:
    given, unset = settings()
    names = {name for name in {*given} | unset if name.startswith("TOKENERGY_")}
    assert names == variables_of_the_code()
    assert not {*given} & unset


def test_the_settings_say_what_the_code_does_without_them() -> None:
    given, _ = settings()
    assert schedule_of(given) == schedule_of({})
    assert texts_of(given) == DEFAULTS


def test_each_setting_is_explained() -> None:
    """Before a group of settings stands a comment, and the documentation names them all."""
    page = (ROOT / "docs" / "airflow.md").read_text("utf-8")
    blocks = (DEPLOY / "airflow.env").read_text("utf-8").split("\n\n")
    for block in blocks:
        lines = block.splitlines()
        assert lines[0].startswith("# "), block
    missing = {name for name in variables_of_the_code() if name not in page}
    assert missing == set()


def test_no_file_holds_a_secret() -> None:
    given, _ = settings()
    for name, value in given.items():
        assert not re.search(r"SECRET|PASSWORD|FERNET|CONN", name), name
        assert "@" not in value, name
    for part, service in compose()["services"].items():
        for name, value in (service.get("environment") or {}).items():
            if re.search(r"SECRET|PASSWORD|FERNET|CONN|BACKEND|BROKER", name):
                assert name.endswith(("_CMD", "_FILE")), f"{part}: {name}"
                assert "/run/secrets/" in value, f"{part}: {name}"
    assert (DEPLOY / ".gitignore").read_text().split() == ["secrets/"]
    tracked = subprocess.run(
        ["git", "ls-files", "deploy/airflow"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "secrets/" not in tracked.stdout


def test_all_parts_are_there_and_none_waits_for_what_does_not_exist() -> None:
    services = compose()["services"]
    assert {*services} == {*PARTS, "postgres", "redis", "init"}
    for name, service in services.items():
        assert {*service.get("depends_on", {})} <= {*services}, name
        for other, how in service.get("depends_on", {}).items():
            needs_health = how["condition"] == "service_healthy"
            assert not needs_health or "healthcheck" in services[other], (name, other)
        assert service["restart"] == ("on-failure" if name == "init" else "unless-stopped"), name
        assert "healthcheck" in service or name == "init", name
    commands = {name: services[name]["command"] for name in PARTS}
    assert commands == {
        **{name: name for name in PARTS[:4]},
        **dict.fromkeys(WORKERS, "celery worker"),
    }


def test_all_parts_share_image_settings_secrets_and_logs() -> None:
    services = compose()["services"]
    common = ("image", "user", "env_file")
    first = services["scheduler"]
    for name in (*PARTS, "init"):
        service = services[name]
        assert {key: service[key] for key in common} == {key: first[key] for key in common}, name
        assert {*first["environment"].items()} <= {*service["environment"].items()}, name
        assert {*first["secrets"]} <= {*service["secrets"]}, name
        assert "logs:/opt/airflow/logs" in service["volumes"], name
    assert "init" in services["worker-1"]["depends_on"]
    different = {name: {**services[name], "hostname": None} for name in WORKERS}
    assert different["worker-1"] == different["worker-2"]


def test_only_workers_touch_the_lake() -> None:
    given, _ = settings()
    for name, service in compose()["services"].items():
        mounts = [one for one in service.get("volumes", ()) if one.startswith(_LAKE)]
        assert bool(mounts) == (name in WORKERS), name
        assert all(mount.endswith(":/data") for mount in mounts)
    assert Path(given["TOKENERGY_LAKE"]).is_relative_to("/data")


def test_secrets_and_volumes_are_declared_and_used() -> None:
    whole = compose()
    used = {secret for one in whole["services"].values() for secret in one.get("secrets", ())}
    assert used == {*whole["secrets"]}
    mounts = {
        mount.split(":")[0]
        for one in whole["services"].values()
        for mount in one.get("volumes", ())
        if not mount.startswith(("$", ".", "/"))
    }
    assert mounts == {*whole["volumes"]}
    for name, service in whole["services"].items():
        for path in re.findall(r"/run/secrets/(\w+)", str(service)):
            assert path in service["secrets"], (name, path)


def test_the_secrets_are_made_once(tmp_path: Path) -> None:
    script = tmp_path / "make-secrets.sh"
    script.write_bytes((DEPLOY / "make-secrets.sh").read_bytes())

    def run() -> str:
        done = subprocess.run(["sh", str(script)], capture_output=True, text=True, check=True)
        return done.stdout

    assert len(run().splitlines()) == len(compose()["secrets"])
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert {f"secrets/{name}" for name in made} == {
        secret["file"] for secret in compose()["secrets"].values()
    }
    assert made["sql_alchemy_conn"] == (
        f"postgresql+psycopg2://airflow:{made['postgres_password']}@postgres:5432/airflow"
    )
    assert made["redis_password"] in made["broker_url"]
    assert len(set(made.values())) == len(made)
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert run() == ""
    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == made


def test_a_worker_with_a_gpu_is_a_worker() -> None:
    (name,) = services = compose("compose.gpu.yaml")["services"]
    worker = services[name]
    assert worker["extends"] == {"file": "compose.yaml", "service": "worker-1"}
    assert worker["hostname"] == name
    (device,) = worker["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["count"]) == ("nvidia", 1)


def container_lines() -> list[str]:
    text = (DEPLOY / "Containerfile").read_text("utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_image_installs_what_is_locked() -> None:
    installs = [
        words
        for line in container_lines()
        for words in re.findall(r"pip (?:install|wheel) .*?(?= && |$)", line)
    ]
    assert len(installs) == 4
    for words in installs:
        assert "--no-deps" in words
        assert "--require-hashes" in words or "--no-index" in words
    for line in container_lines():
        if line.startswith("COPY") and "--from" not in line:
            sources = [word for word in line.split()[1:-1] if not word.startswith("--")]
            assert all((ROOT / source).exists() for source in sources), line
    assert any(line.endswith(" dags /opt/airflow/dags") for line in container_lines())
    assert (DAGS / ".airflowignore").exists()


def locked(name: str) -> dict[str, tuple[str, set[str]]]:
    """The packages of a lock: version with marker, and hashes."""
    text = (ROOT / "requirements" / name).read_text("utf-8")
    entries = re.split(r"\n(?=[a-z])", re.sub(r"\n *#.*", "", text).strip())
    found = {}
    for entry in entries:
        line = entry.split("\\")[0].strip()
        package, version = line.split("==", 1)
        found[package] = (version, {*re.findall(r"sha256:\w+", entry)})
    return found


@pytest.mark.parametrize("name", ["airflow.txt", "airflow-gpu.txt"])
def test_the_locks_agree_with_what_is_tested(name: str) -> None:
    tested, found = locked("dev.txt"), locked(name)
    assert {"apache-airflow", "apache-airflow-providers-celery", "duckdb", "numba"} <= {*found}
    for package, (version, hashes) in found.items():
        assert hashes, package
        if package in tested:
            assert version.split(" ")[0] == tested[package][0].split(" ")[0], package
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "analysis" in extras["optional-dependencies"]
    assert ("cupy-cuda13x" in found) == (name == "airflow-gpu.txt")


def test_the_image_is_of_the_airflow_that_is_locked() -> None:
    (base,) = [line for line in container_lines() if line.startswith("ARG BASE=")]
    version = locked("airflow.txt")["apache-airflow"][0]
    assert f":slim-{version}-python" in base
    assert values()["airflowVersion"] == version


def values() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "values.yaml").read_text("utf-8")))


def test_the_chart_gets_the_same_settings() -> None:
    given, unset = settings()
    chart = {one["name"]: one["value"] for one in values()["env"]}
    ours = {name: value for name, value in given.items() if not name.startswith("AIRFLOW__")}
    assert chart == ours
    assert all(isinstance(value, str) for value in chart.values())  # "off" is no boolean
    assert {one["envName"] for one in values()["secret"]} <= unset | {"AIRFLOW_CONN_SMTP_DEFAULT"}
    for section, keys in values()["config"].items():
        for key, value in keys.items():
            assert given[f"AIRFLOW__{section}__{key}".upper()] == value, (section, key)


def test_the_chart_has_no_secrets_and_two_workers_with_the_lake() -> None:
    chart = values()
    named = ("metadataSecretName", "resultBackendSecretName", "brokerUrlSecretName")
    assert {*chart["data"]} == {*named}
    assert all(chart[f"{key}Name"] for key in ("fernetKeySecret", "apiSecretKeySecret"))
    assert chart["jwtSecretName"]
    assert chart["workers"]["replicas"] == 2
    (mount,) = chart["workers"]["extraVolumeMounts"]
    (volume,) = chart["workers"]["extraVolumes"]
    assert mount == {"name": volume["name"], "mountPath": "/data"}
    assert chart["createUserJob"]["defaultUser"]["enabled"] is False
