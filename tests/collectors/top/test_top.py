"""`top`: frames as text and as JSON, on terminals of several sizes, live and once."""

import dataclasses
import io
import json
import os
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tests.support.commands import command
from tests.support.emulated import SMALL
from tests.support.live import Shown
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.top.frame import CollectorHealth, Frame, GpuRow, JobRow, frame_of
from tokenergy_collectors.top.glyphs import short_name, significant
from tokenergy_collectors.top.reasons import held_back
from tokenergy_collectors.top.render import draw

ON_A_TERMINAL = """
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn([sys.executable, *sys.argv[1:]])))
"""
HEALTH = CollectorHealth(
    "0.1.0", 7_300.0, 1_234_567, 0, 0, 0, {"start": 1}, 73.0, 1 << 26, 2048, 12.0
)


def gpu(index, **more):
    row = GpuRow(
        index, f"GPU-{index}", "NVIDIA H100 80GB HBM3", "chat", 350.0, 700.0, 2e4, 0.87, 60.0, 0.04
    )
    return dataclasses.replace(row, **more)


def frame(count=8, /, **more):
    job = JobRow("chat", count, 350.0 * count, "generated", 1_234.0, 0.2836)
    rows = tuple(gpu(index) for index in range(count))
    return dataclasses.replace(Frame("n1", 1.8e9, rows, (job,), HEALTH), **more)


def lines(shown, width=80, height=None, *, plain=False):
    out = io.StringIO()
    console = Console(file=out, width=width, markup=False, highlight=False)
    console.print(draw(shown, width, height, plain=plain))
    found = [line.rstrip() for line in out.getvalue().splitlines()]
    assert all(len(line) <= width for line in found)
    return found


def test_a_frame_says_what_there_is():
    found = lines(frame(2, gpus=(gpu(0), gpu(1, job="", power_w=699.0, utilization=0.0))))
    text = "\n".join(found)
    assert found[0] == "n1  2 GPUs  1,049 W  up 2 h  1,234,567 readings"
    assert "late 0  gaps 0  dropped 0  events 0  log 2 KiB  cpu 1.0%  64 MiB" in found[1]
    assert re.search(r" 0 H100 80GB +chat +████░░░░ +350/700 +60 +— +87% +1,234 +0\.284", text)
    assert re.search(r" 1 H100 80GB +████████ +699/700 +60 +— +0% +— +—", text)
    assert re.search(r"chat +2 +700 generated +1,234 +0\.284", found[-2])
    assert re.search(r"\(no job\) +1 +699 — +— +—", found[-1])


def test_a_jobs_figures_stand_once_and_are_marked_on_its_other_boards():
    found = lines(frame(3))
    boards = [line for line in found if "H100" in line]
    assert [line.count("1,234") for line in boards] == [1, 0, 0]
    assert [line.count("″") for line in boards] == [0, 2, 2]


def test_what_is_not_known_is_a_dash_and_a_stale_board_tells_its_age():
    stale = gpu(1, power_w=None, utilization=None, age_s=75.0)
    job = JobRow("chat", 2, None, None, None, None)
    found = lines(frame(2, gpus=(gpu(0), stale), jobs=(job,)))
    assert "1 stale" in found[0]
    assert re.search(r"1 H100 80GB chat +— 75 s ago +60 +— +— +″ +″", "\n".join(found))
    assert re.search(r"chat +2 +— — +— +—$", found[-1])


def test_trouble_is_told():
    health = dataclasses.replace(
        HEALTH, late_ticks=3, gaps=2, dropped_rows=17, events={"start": 1, "lost": 4, "drop": 1}
    )
    assert "late 3  gaps 2  dropped 17  events drop 1, lost 4" in lines(frame(1, health=health))[1]


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_narrow_terminals_lose_names_and_no_numbers(width):
    long = JobRow("a-very-long-name" * 4, 1, 350.0, "generated", 1_234.0, 0.2836)
    found = lines(frame(gpus=(gpu(0, job=long.job),), jobs=(long,)), width)
    [row] = [line for line in found if "350/700" in line]
    assert re.search(r"87% +1,234 +0\.284$", row)
    assert ("H100" in row, "█" in row) == (width >= 60, width >= 80)
    [job] = [line for line in found if line.startswith("a-")]
    assert re.search(r"1,234 +0\.284$", job)


def test_a_wide_terminal_shows_heat_and_what_holds_a_board_back():
    why = ((), ("cap",), ("heat", "brake"), None)
    boards = tuple(gpu(i, held_back=one, temperature_c=60.0 + i) for i, one in enumerate(why))
    found = lines(frame(4, gpus=boards), 120)
    assert "2 throttled" in found[0]
    assert found[3].split() == [
        *("GPU", "name", "job", "W/limit", "°C", "throttle", "util", "tok/s", "J/tok"),
    ]
    for row, words in zip(found[4:8], ("60 no", "61 cap", "62 heat brake", "63 —"), strict=True):
        assert f"350/700 {words} " in row


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        (0x0, ()), (0x1, ()), (0x4, ("cap",)), (0x5, ("cap",)), (0x60, ("heat",)),
        (0x8 | 0x80, ("slowdown", "brake")), (0x2, ("clocks",)), (0x2000, ("0x2000",)),
    ],
)  # fmt: skip
def test_reasons_have_words(bits, words):
    """The bits are those of NVML's reference: nvmlClocksEventReasons."""
    assert held_back(bits) == words


def test_what_no_job_holds_is_unknown_if_one_of_its_boards_is():
    free = (gpu(0, job=""), gpu(1, job="", power_w=None))
    assert re.search(r"\(no job\) +2 +— ", lines(frame(2, gpus=free, jobs=()))[-1])


names = st.one_of(st.integers(1, 10**12).map(str), st.text("abc-", max_size=30))
quantities = st.one_of(st.none(), st.floats(0, 1e12))


@st.composite
def frames(draw):
    watts = st.one_of(st.none(), st.floats(0, 15_000))
    jobs = draw(st.lists(names.filter(bool), unique=True, max_size=3))
    boards = tuple(
        gpu(
            i,
            job=draw(st.sampled_from([*jobs, ""])),
            power_w=draw(watts),
            limit_w=draw(watts),
            temperature_c=draw(st.one_of(st.none(), st.floats(-20, 120))),
            held_back=draw(st.sampled_from([None, (), ("cap",), ("heat", "slowdown")])),
        )
        for i in range(draw(st.integers(0, 9)))
    )
    rows = tuple(
        JobRow(one, 1, draw(watts), "generated", draw(quantities), draw(quantities)) for one in jobs
    )
    return frame(len(boards), gpus=boards, jobs=rows)


@settings(max_examples=200, deadline=None)
@given(frames(), st.integers(40, 200), st.booleans())
def test_no_number_is_ever_cut(shown, width, plain):
    """What a narrow terminal shows of a number is what a wide one shows."""
    tables = ["\n".join(lines(shown, at, plain=plain)).split("\n\n", 1)[1] for at in (width, 1000)]
    narrow, wide = ({*re.findall(r"\d[\d.,]*", table)} for table in tables)
    assert narrow <= wide


def test_many_boards_stand_side_by_side_or_are_counted():
    all_of_them = lines(frame(64))
    assert sum("350/700" in line for line in all_of_them) == 64
    low = lines(frame(64), 80, 24)
    assert len(low) <= 24
    [cut] = [line for line in low if "more" in line]
    hidden = 64 - sum("350/700" in line for line in low)
    assert cut.startswith(f"… {hidden} more, {hidden * 350:,} W")
    wide = lines(frame(64), 200, 50)
    assert len(wide) <= 50
    assert sum(line.count("350/700") for line in wide) == 64
    assert any(line.count("350/700") == 2 for line in wide)
    assert len(lines(frame(64), 80, 3)) < 10


def test_names_are_text_and_no_more():
    name = "[red]x[/red]\x1b[31m\x07\n"
    found = "\n".join(lines(frame(1, gpus=(gpu(0, name=name, job=name),)), 200))
    assert "[red]x[/red]?[31m??" in found
    assert "\x1b" not in found


def test_a_terminal_that_knows_only_ascii():
    text = "\n".join(
        lines(frame(2, gpus=(gpu(0), gpu(1), gpu(2, job="é", power_w=None))), plain=True)
    )
    assert text.isascii()
    assert "####....   350/700" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (0.00001, "1.0e-05"), (0.0123456, "0.0123"), (0.999, "0.999"), (1.5, "1.50"),
        (42.19, "42.2"), (123.4, "123"), (482_043.2, "482,043"), (1_234_567, "1.23M"),
    ],
)  # fmt: skip
def test_numbers_are_short(value, text):
    assert significant(value) == text


def test_board_names_are_short():
    assert short_name("NVIDIA H100 80GB HBM3") == "H100 80GB"
    assert short_name("NVIDIA GeForce RTX 4090") == "RTX 4090"
    assert short_name("NVIDIA") == "NVIDIA"


def test_a_frame_of_a_daemon_and_of_something_else(tmp_path):
    shown = Shown(tmp_path)
    shown.at(100.05, lambda _, metrics: shown.__dict__.update(seen=metrics))
    shown.run(101)
    found = frame_of(shown.seen.families)
    assert [(row.index, row.job) for row in found.gpus] == [
        (0, "chat"), (1, "chat"), (2, "train"), (3, ""),
    ]  # fmt: skip
    assert [(job.job, job.gpus, job.kind) for job in found.jobs] == [
        ("chat", 2, "generated"), ("train", 1, "trained"),
    ]  # fmt: skip
    for job in found.jobs:
        assert job.joules_per_token == shown.seen.one("job_joules_per_token", job_id=job.job)
    assert all(row.age_s == pytest.approx(0.05, abs=0.001) for row in found.gpus)
    assert found.health.sealed_s_ago is None
    with pytest.raises(UserError, match="not the metrics of a collector"):
        frame_of([])


def top(*words, **options):
    line = [sys.executable, "-m", "tokenergy_collectors", "top", *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, **options)


@pytest.fixture
def profile(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


def test_once_on_emulated_boards(profile, tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "80"}
    words = ("--emulate", profile, "--at", "38s")
    result = top(*words, "--once", cwd=tmp_path, env=environment)
    assert (result.returncode, result.stderr) == (0, "")
    found = result.stdout.splitlines()
    assert found[0].startswith("n1  4 GPUs")
    assert sum("/700" in line for line in found) == 4
    assert re.match(r"chat +2 +[\d,]+ generated +[\d,]+ +[\d.]+", found[-3])
    assert re.match(r"\(no job\) +1 +[\d,]+ ", found[-1])
    assert list(tmp_path.iterdir()) == [profile], "nothing is written"
    ascii_only = top(*words, env={**environment, "PYTHONIOENCODING": "ascii"})
    assert ascii_only.returncode == 0
    assert ascii_only.stdout.isascii()
    assert "#" in ascii_only.stdout


def test_json_on_emulated_boards(profile):
    result = top("--emulate", profile, "--at", "38s", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert [row["index"] for row in found["gpus"]] == [0, 1, 2, 3]
    jobs = {job["job"]: job for job in found["jobs"]}
    assert set(jobs) == {"chat", "train"}
    for job, boards in (("chat", (0, 1)), ("train", (2,))):
        watts = sum(found["gpus"][index]["power_w"] for index in boards)
        assert jobs[job]["power_w"] == pytest.approx(watts)
        assert jobs[job]["joules_per_token"] > 0
    assert found["gpus"][3]["job"] == ""
    assert all(isinstance(row["held_back"], list) for row in found["gpus"])
    assert found["gpus"][0]["energy_last_minute_j"] is None, "38 s are no minute"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--from", "unix:/none/x"], "no answer"),
        (["--from", "9465"], "--from: '9465': expected"),
        (["--from", "127.0.0.1:1", "--emulate", "demo"], "expected only one of them"),
        (["--emulate", "demo", "--node", "n9"], "not in the profile"),
        (["--emulate", "demo", "--at", "2h"], "less than the profile's 3600 s"),
        (["--emulate", "demo", "--at", "x"], "duration 'x'"),
        (["--at", "5m"], "--node and --at need --emulate"),
        (["--emulate", "none"], "profile none"),
        (["--config", "/none.toml"], "/none.toml: No such file"),
    ],
)
def test_what_cannot_be_shown_is_one_line_and_exit_code_2(words, error):
    code, out, err = command("tokenergy-collect", "top", *words, "--once")
    assert code == 2
    [line] = err.splitlines()
    assert line.startswith("error: ")
    assert error in line
    assert out == ""


@pytest.mark.parametrize("key", [b"q", b"\x03"])
def test_live_until_a_key_ends_it(profile, key):
    """On a terminal of its own: frames come, the key ends it, the terminal is as it was."""
    words = ["-m", "tokenergy_collectors", "top", "--emulate", str(profile), "--at", "30s"]
    terminal = subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    with terminal:
        seen = read_until(terminal.stdout, b"train", times=4)
        assert b"\x1b[?1049h" in seen
        terminal.stdin.write(key)
        terminal.stdin.flush()
        seen += read_until(terminal.stdout, b"\x1b[?1049l")
    assert terminal.returncode == 0
    assert b"Traceback" not in seen


def read_until(stream, words, *, times=1):
    """Read until words were seen so often; a frame has `train` twice."""
    seen = b""
    while seen.count(words) < times:
        found = stream.read1(1 << 16)
        assert found, seen[-2000:]
        seen += found
    return seen
