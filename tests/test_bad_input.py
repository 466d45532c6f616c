"""What a user may get wrong: one clear line, exit code 2, and nothing half-written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import command as run
from tokenergy_collectors.lake import Lake

GOOD = (
    "timestamp, index, uuid, power.draw [W]\n"
    "2026/01/15 08:00:00.000, 0, GPU-1, 100.00 W\n"
    "2026/01/15 08:00:01.000, 0, GPU-1, 101.00 W\n"
)


def installed(name: str, *arguments: str) -> tuple[int, str, str]:
    """Run the script that is installed, as a process."""
    command = [str(Path(sys.executable).parent / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def refused(name: str, *arguments: str) -> str:
    """Run, expect one error line and exit code 2, return the line."""
    code, out, err = run(name, *arguments)
    assert code == 2, (out, err)
    assert out == ""
    assert err.startswith("error: "), err
    assert len(err.splitlines()) == 1, err
    return err


def smi(tmp_path: Path, text: str | None, lake: Path | None = None) -> str:
    log = tmp_path / "log.csv"
    if text is not None:
        log.write_text(text)
    where = lake or tmp_path / "lake"
    line = refused(
        "tokenergy-collect", "import", "nvidia-smi", str(log), "--lake", str(where), "--node", "n1"
    )
    assert not (tmp_path / "lake").exists()
    return line


def test_missing_file(tmp_path: Path) -> None:
    assert "log.csv" in smi(tmp_path, None)


def test_empty_file(tmp_path: Path) -> None:
    assert "empty" in smi(tmp_path, "")


def test_no_power_column(tmp_path: Path) -> None:
    line = smi(tmp_path, "timestamp, index, uuid\n2026/01/15 08:00:00.000, 0, GPU-1\n")
    assert "power.draw" in line


def test_no_device_column(tmp_path: Path) -> None:
    line = smi(tmp_path, "timestamp, power.draw [W]\n2026/01/15 08:00:00.000, 100.00 W\n")
    assert "uuid" in line
    assert "index" in line


def test_unreadable_timestamp_names_its_line(tmp_path: Path) -> None:
    """One such line costs the log nothing else: an hour of readings must not hang on it."""
    log, lake = tmp_path / "log.csv", tmp_path / "lake"
    log.write_text(GOOD + "yesterday, 0, GPU-1, 102.00 W\n")
    where = ("--lake", str(lake), "--node", "n1")
    code, out, err = run("tokenergy-collect", "import", "nvidia-smi", str(log), *where)
    assert (code, err) == (0, "")
    assert "left out 1 line" in out
    assert "line 4, 'yesterday" in out
    assert Lake(lake).read("power").num_rows == 2


def test_lake_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = smi(tmp_path, GOOD, tmp_path / "file" / "lake")
    assert "is not a directory" in line


def test_lake_that_is_not_writable(tmp_path: Path) -> None:
    """/proc takes no new folders, not even from root."""
    line = smi(tmp_path, GOOD, Path("/proc/lake"))
    assert "/proc/lake" in line


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('lake = "x"\nrate = 5\n', "unknown key 'rate'"),
        ('lake = "x"\nrate_hz = 5000\n', "rate_hz"),
        ('lake = "x"\nrate_hz = "fast"\n', "rate_hz"),
        ("node = 'n'\n", "lake"),
        ("lake = \n", "not a TOML file"),
    ],
)
def test_bad_configuration(tmp_path: Path, text: str, says: str) -> None:
    config = tmp_path / "collect.toml"
    config.write_text(text)
    line = refused("tokenergy-collect", "run", "--config", str(config))
    assert says in line
    assert str(config) in line


@pytest.mark.parametrize("name", ["tokenergy", "tokenergy-collect"])
def test_the_installed_scripts_do_the_same(tmp_path: Path, name: str) -> None:
    """In processes of their own: what the other tests find by the entry points."""
    words = {
        "tokenergy": ["index", "--lake", str(tmp_path), "--site", str(tmp_path / "no.toml")],
        "tokenergy-collect": ["run", "--config", str(tmp_path / "no.toml")],
    }[name]
    code, out, err = installed(name, *words)
    assert (code, out, err) == run(name, *words)
    assert (code, out, err[:7], len(err.splitlines())) == (2, "", "error: ", 1)


def test_missing_configuration(tmp_path: Path) -> None:
    assert "no.toml" in refused("tokenergy-collect", "run", "--config", str(tmp_path / "no.toml"))


def test_unknown_profile(tmp_path: Path) -> None:
    line = refused(
        "tokenergy-collect", "run", "--lake", str(tmp_path / "l"), "--node", "n", "--emulate", "nil"
    )
    assert "nil" in line


def test_bad_duration(tmp_path: Path) -> None:
    line = refused("tokenergy-collect", "run", "--lake", str(tmp_path / "l"), "--duration", "2 min")
    assert "2 min" in line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["aggregate", "--lake", "{}/none"], "no such directory"),
        (["aggregate", "--lake", "{}", "--window", "7s"], "window '7s'"),
        (["aggregate", "--lake", "{}", "--device", "tpu"], "--device 'tpu'"),
        (["aggregate", "--lake", "{}", "--hour", "eight"], "hour 'eight'"),
        (["compact", "--lake", "s3://bucket/lake"], "not an object store"),
        (["aggregate", "--lake", "gs://bucket/lake"], "expected s3://"),
        (["index", "--lake", "{}", "--site", "{}/none.toml"], "none.toml"),
        (["query", "--lake", "{}", "SELEKT 1"], "query: "),
        (["query", "--lake", "{}", "SELECT * FROM nothing"], "nothing"),
        (["query", "--lake", "{}", "--format", "xml", "SELECT 1"], "--format 'xml'"),
        (["report", "--lake", "{}", "--out", "{}/r.html"], "job_index"),
        (["score", "--lake", "{}", "--truth", "{}"], "no truth files"),
    ],
)
def test_bad_options(tmp_path: Path, arguments: list[str], says: str) -> None:
    filled = [a.replace("{}", str(tmp_path)) for a in arguments]
    assert says in refused("tokenergy", *filled)
    assert list(tmp_path.iterdir()) == []


def test_bad_site_file(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("[site]\npue = 0.5\n")
    line = refused("tokenergy", "index", "--lake", str(tmp_path))
    assert "site.pue" in line
    assert "0.5" in line


def test_a_demo_does_not_overwrite_what_it_did_not_make(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    assert "no demo made it" in refused("tokenergy", "demo", "--out", str(tmp_path))
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_an_empty_lake_is_no_error(tmp_path: Path) -> None:
    for command in ("aggregate", "index", "check"):
        code, _, err = run("tokenergy", command, "--lake", str(tmp_path))
        assert (code, err) == (0, "")


def test_help_shows_examples() -> None:
    for name, commands in (
        ("tokenergy", ["aggregate", "index", "check", "query", "report", "score", "demo"]),
        ("tokenergy-collect", ["run", "import nvidia-smi", "import counters", "import jobs"]),
    ):
        for command in commands:
            code, out, _ = run(name, *command.split(), "--help")
            assert code == 0
            assert f"{name} {command}" in out.partition("Example")[2], command


@pytest.mark.parametrize(
    ("package", "words"),
    [
        ("scipy", ["demo", "--out", "demo"]),
        ("duckdb", ["query", "--lake", "lake", "SELECT 1"]),
    ],
)
def test_a_package_of_an_extra_that_is_missing(
    tmp_path: Path, package: str, words: list[str]
) -> None:
    """As after `pip install tokenergy` alone; nothing is begun that could not be finished."""
    Lake(tmp_path / "lake", create=True).prepare()
    before = sorted(tmp_path.rglob("*"))
    script = f"import sys; sys.modules[{package!r}] = None; import tokenergy_sql.cli as c; c.main()"
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == f"error: {package} is not installed: pip install 'tokenergy[analysis]'\n"
    assert sorted(tmp_path.rglob("*")) == before
