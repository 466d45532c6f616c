"""What lies in deploy/: the unit is sound, hardened and true to the daemon; so is the image."""

import configparser
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "tokenergy-collect.service"
EXPOSURE_LIMIT = 3.0
SLOWEST_TICK_S = 10

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


@pytest.fixture
def unit(tmp_path):
    """The unit with a program that exists here: verifying looks for it."""
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("/usr/local/bin/tokenergy-collect", sys.executable))
    return path


def service():
    # A key that stands twice (DeviceAllow, SystemCallFilter) is a list: the last one is seen here.
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string(UNIT.read_text())
    return parser["Service"]


@needs_systemd
def test_systemd_finds_nothing_wrong(unit):
    words = ["systemd-analyze", "verify", str(unit)]
    result = subprocess.run(words, capture_output=True, text=True, timeout=30)
    assert (result.returncode, result.stderr) == (0, "")


@needs_systemd
def test_systemd_finds_it_hardened(unit):
    words = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    result = subprocess.run(words, capture_output=True, text=True, timeout=30)
    if "Overall exposure" not in result.stdout:
        pytest.skip("this systemd cannot analyse a file offline")
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", result.stdout)
    assert float(exposure[1]) <= EXPOSURE_LIMIT


def test_the_unit_is_what_the_daemon_expects():
    keys = service()
    expected = {
        "Type": "notify",
        "DynamicUser": "yes",
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "PrivateTmp": "yes",
        "StateDirectory": "tokenergy",
        "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6",
        "DevicePolicy": "closed",
        "Restart": "on-failure",
        "CapabilityBoundingSet": "",
        "EnvironmentFile": "-/etc/tokenergy/environment",
        "ExecReload": "/bin/kill -HUP $MAINPID",
    }
    assert {key: keys[key] for key in expected} == expected
    assert "User" not in keys
    for key in ("MemoryMax", "CPUQuota", "TasksMax"):
        assert keys[key]
    # A sign of life is told at the first tick after half of the watchdog's time.
    assert int(keys["WatchdogSec"]) >= 2 * SLOWEST_TICK_S
    text = UNIT.read_text()
    assert "DeviceAllow=/dev/nvidiactl rw" in text
    assert "\nPrivateDevices=" not in text


def test_the_unit_and_the_image_call_the_command_as_it_is(tmp_path):
    """Their options are taken as they are: the line must run but for its places."""
    import typer

    from tokenergy_collectors import cli

    command = typer.main.get_command(cli.app)
    image = (DEPLOY / "Containerfile").read_text()
    given = re.search(r"^CMD \[(.*)\]$", image, re.MULTILINE)[1].replace('"', "").split(", ")
    for words in (service()["ExecStart"].split()[1:], given):
        with command.make_context("tokenergy-collect", list(words)) as context:
            name, run, rest = command.resolve_command(context, words)
            found = run.make_context(name, rest).params
        assert name == "run"
        assert str(found["config"]) == "/etc/tokenergy/collect.toml"
        assert found["lake"] == "/var/lib/tokenergy/lake"


def test_the_image_has_no_root_and_no_driver():
    lines = (DEPLOY / "Containerfile").read_text().splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert all(re.fullmatch(r"[1-9]\d*:[1-9]\d*", user) for user in users)
    assert [line.split()[1] for line in lines if line.startswith("FROM ")] == ["${BASE}"] * 2
    [base] = [line.removeprefix("ARG BASE=") for line in lines if line.startswith("ARG BASE=")]
    assert re.fullmatch(r"python(:3\.12\.\d+-slim-[a-z]+|@sha256:[0-9a-f]{64})", base)
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.removesuffix("\\").split()[1:-1]:
                assert list(DEPLOY.parent.glob(source)), source


def locked(name):
    """The requirements of a lock: version, marker and hashes, by name and version."""
    text = (DEPLOY.parent / "requirements" / name).read_text()
    entries = re.split(r"\n(?=[a-z])", re.sub(r"\n *#.*", "", text).strip())
    return {
        re.match(r"[^\s;]+", entry)[0]: (
            entry.split("\\")[0],
            set(re.findall(r"sha256:\w+", entry)),
        )
        for entry in entries
    }


def names(requirements):
    return {re.match(r"[\w.-]+", text)[0].lower() for text in requirements}


def test_the_image_installs_what_is_locked_and_nothing_else():
    text = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ")
    installs = re.findall(r"bin/pip (.*?)(?= && |\n|  )", text)
    assert len(installs) == 4
    for words in (line.split() for line in installs):
        assert "--no-deps" in words
        assert "--require-hashes" in words or "--no-index" in words
    found = set(re.findall(r'-r "?(requirements/\S+?\.txt)"?', text))
    assert found == {"requirements/build.txt", "requirements/${lock}.txt"}


def chosen_locks(extras):
    """Run the lines of the image that choose the locks."""
    text = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ")
    script = re.search(r'RUN (locks="collect".*? done)', text)[1] + ' && echo "${locks}"'
    return subprocess.run(
        ["sh", "-c", script], env={"EXTRAS": extras, "PATH": "/usr/bin:/bin"}, capture_output=True,
        text=True, timeout=30,
    )  # fmt: skip


COLLECTOR_EXTRAS = ("kubernetes", "meters", "openadr", "otel", "s3", "signals")


def test_the_image_chooses_the_locks_of_its_extras():
    assert chosen_locks("").stdout.split() == ["collect"]
    for extra in COLLECTOR_EXTRAS:
        assert chosen_locks(f"[{extra}]").stdout.split() == ["collect", f"collect-{extra}"]
        assert (DEPLOY.parent / "requirements" / f"collect-{extra}.txt").exists()
    found = chosen_locks("[kubernetes, meters,s3]").stdout.split()
    assert found == ["collect", "collect-kubernetes", "collect-meters", "collect-s3"]


def test_the_image_refuses_an_extra_that_it_does_not_know():
    result = chosen_locks("[s3,gpu]")
    assert result.returncode == 2
    assert "gpu is none of s3, kubernetes" in result.stderr


@pytest.mark.parametrize(
    "name",
    [
        "collect.txt",
        "collect-s3.txt",
        "collect-kubernetes.txt",
        "collect-meters.txt",
        "collect-openadr.txt",
        "collect-otel.txt",
        "collect-signals.txt",
        "build.txt",
        "run.txt",
    ],
)
def test_every_lock_agrees_with_what_is_tested(name):
    tested = locked("dev.txt")
    for found, (line, hashes) in locked(name).items():
        assert re.fullmatch(r"[a-z0-9.-]+==[\w.]+( ; .+)?\s*", line), line
        assert hashes
        assert hashes == tested[found][1]
    assert "://" not in (DEPLOY.parent / "requirements" / name).read_text()


def test_the_collector_needs_little():
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text())["project"]
    collect = names(locked("collect.txt"))
    assert names(project["dependencies"]) <= collect
    extras = project["optional-dependencies"]
    assert not names(extras["analysis"]) & collect
    for extra in COLLECTOR_EXTRAS:
        assert names(locked(f"collect-{extra}.txt")) > collect
        assert names(locked(f"collect-{extra}.txt")) >= names(extras[extra])
    assert len(collect) < 20
