"""`tokenergy gate` as a user gives it: verdicts, exit codes, formats, files, and errors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.sql.gate.planted import Runs, staged_lake
from tests.support.commands import command
from tests.support.lakes import T0, LakeBuilder
from tokenergy_collectors.lake import Lake

BASE = Runs("bench-v1", noise=0.003)
RUNS = (
    BASE,
    replace(BASE, job="bench-v2", seed=2, from_h=3),
    replace(BASE, job="bench-v3", seed=3, from_h=6, cost=1.03),
    replace(BASE, job="fast", seed=4, from_h=9, rate=2_000),
    replace(BASE, job="tomorrow", seed=5, from_h=24, model="other", cost=1.1),
)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return staged_lake(tmp_path_factory.mktemp("gate") / "lake", *RUNS)


def run(lake: Lake | None, *more: str) -> tuple[int, str, str]:
    where = () if lake is None else ("--lake", str(lake.root))
    return command("tokenergy", "gate", *more, *where)


def values(lake: Lake, *more: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(lake, *more, "--format", "json")[1])
    return found


@pytest.mark.parametrize(
    ("head", "code", "verdict"),
    [
        ("bench-v1", 0, "pass"),
        ("bench-v2", 0, "pass"),
        ("bench-v3", 1, "WORSE"),
        ("fast", 0, "cannot tell"),
    ],
)
def test_verdict_and_exit_code(lake: Lake, head: str, code: int, verdict: str) -> None:
    found, out, err = run(lake, "job:bench-v1", f"job:{head}")
    assert (found, err) == (code, "")
    assert out.startswith(f"gate: {verdict}: ")
    assert out.splitlines()[0].endswith("(emulated)")


def test_strict_fails_where_nothing_can_be_told(lake: Lake) -> None:
    code, out, err = run(lake, "job:bench-v1", "job:fast", "--strict")
    assert (code, err) == (1, "")
    assert "--load closed" in out


def test_models_and_days(lake: Lake) -> None:
    found = values(lake, "model:m,day:2026-01-15", "model:other,day:2026-01-16..2026-01-20")
    assert found["base"]["models"] == ["m"]
    assert found["head"]["selection"] == "model:other,day:2026-01-16..2026-01-20"
    assert found["verdict"] == "worse"
    # BASE is three jobs at this load, one of which costs 3 % more.
    assert found["ratio"] == pytest.approx(1.1 / 1.01, abs=0.01)
    text = run(lake, "model:m", "model:other")[1]
    assert "note: BASE is of model m, HEAD of other" in text


def test_json_says_what_was_compared(lake: Lake) -> None:
    found = values(lake, "job:bench-v1", "job:bench-v3", "--threshold", "2")
    assert (found["verdict"], found["threshold"], found["sample"]) == (
        "worse", 0.02, "five_minutes",
    )  # fmt: skip
    assert found["ratio"] == pytest.approx(1.03, abs=0.005)
    assert found["shared_meters"] == 1
    assert found["base"]["compared_share"] == pytest.approx(1, abs=0.05)
    assert all(one["compared"] == (one["why_not"] is None) for one in found["points"])
    assert sum(one["head_tokens"] for one in found["points"]) == found["head"]["tokens"]


def test_a_baseline_outlives_its_lake(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "base.json"
    code, out, err = run(lake, "job:bench-v1", "--export", str(path))
    assert (code, err) == (0, "")
    assert out == f"gate: 28 rows of job:bench-v1 -> {path}\n"
    by_file = values(lake, str(path), "job:bench-v3")
    assert by_file == values(lake, "job:bench-v1", "job:bench-v3")
    assert run(None, str(path), str(path))[0] == 0


def junit(lake: Lake, path: Path, head: str, *more: str) -> tuple[int, ElementTree.Element]:
    code, out, err = run(
        lake, "job:bench-v1", f"job:{head}", "--format", "junit", "--output", str(path), *more
    )
    assert out.startswith("gate: ")
    assert (len(out.splitlines()), err) == (1, "")
    # The command itself wrote it: no entity of a stranger is expanded.
    return code, ElementTree.fromstring(path.read_text("utf-8"))  # noqa: S314


ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "disabled", "errors"},
    "testsuite": {
        "name", "tests", "failures", "errors", "time", "disabled", "skipped", "timestamp",
        "hostname", "id", "package",
    },
    "property": {"name", "value"},
    "testcase": {"name", "assertions", "time", "classname", "status"},
    "failure": {"type", "message"},
    "skipped": {"type", "message"},
}  # fmt: skip
"""The attributes that the schema of Jenkins's xUnit plugin knows."""

CHILDREN = {
    "testsuites": ["testsuite"],
    "testsuite": ["properties", "testcase"],
    "properties": ["property"],
    "testcase": ["skipped", "error", "failure", "system-out", "system-err"],
}


def check(element: ElementTree.Element) -> None:
    """Refuse what the schema of JUnit files does not know, or has in another order."""
    assert set(element.attrib) <= ATTRIBUTES.get(element.tag, set())
    known = CHILDREN.get(element.tag, [])
    places = [known.index(child.tag) for child in element]
    assert places == sorted(places)
    for child in element:
        check(child)


@pytest.mark.parametrize(
    ("head", "more", "code", "counts", "tag"),
    [
        ("bench-v2", (), 0, ("0", "0"), None),
        ("bench-v3", (), 1, ("1", "0"), "failure"),
        ("fast", (), 0, ("0", "1"), "skipped"),
        ("fast", ("--strict",), 1, ("1", "0"), "failure"),
    ],
)
def test_junit(
    lake: Lake,
    tmp_path: Path,
    head: str,
    more: tuple[str, ...],
    code: int,
    counts: tuple[str, str],
    tag: str | None,
) -> None:
    found, root = junit(lake, tmp_path / "gate.xml", head, *more)
    check(root)
    suite = root[0]
    assert found == code
    assert (root.get("failures"), root.get("tests"), root.get("errors")) == (counts[0], "1", "0")
    assert (suite.get("failures"), suite.get("skipped"), suite.get("tests")) == (*counts, "1")
    (case,) = suite.findall("testcase")
    assert case.get("name") == f"J/token of job:{head} against job:bench-v1"
    assert case.get("classname") == "tokenergy.gate"
    tags = [child.tag for child in case if child.tag != "system-out"]
    assert tags == ([] if tag is None else [tag])
    assert all(child.get("message") for child in case if child.tag != "system-out")
    written = case.findtext("system-out")
    assert written is not None
    assert written.startswith("gate: ")


def test_junit_has_no_character_that_xml_forbids(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    run(lake, "job:bench-v1", "--export", str(path))
    found = json.loads(path.read_text("utf-8"))
    found["selection"] = "job:\x1b<&>\x00"
    path.write_text(json.dumps(found), "utf-8")
    out = run(None, str(path), str(path), "--format", "junit")[1]
    check(ElementTree.fromstring(out))  # noqa: S314


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("job:bench-v9", "job:fast"), "job 'bench-v9': not in the lake"),
        (("job:bench-v9", "job:fast"), "did you mean bench-v"),
        (("job:fast", "model:othr"), "HEAD 'model:othr': no job of the lake has this model; did"),
        (("job:fast", "day:2026-13-01"), "HEAD 'day:2026-13-01': expected a date"),
        (("day:2026-01-16..2026-01-15", "job:fast"), "the last day is before the first"),
        (("job:fast,day:2020-01-01", "job:fast"), "the lake has no indexed hour of it"),
        (("nothing.json", "job:fast"), "BASE 'nothing.json': no such file; expected job:ID"),
        (("job:", "job:fast"), "BASE 'job:': job: has no value"),
        (("job:a,job:b", "job:fast"), "job: is there twice"),
        (("job:fast",), "HEAD: missing"),
        (("job:fast", "job:fast", "--export", "x.json"), "--export: goes with BASE alone"),
        (("job:fast", "job:fast", "--format", "xml"), "--format 'xml': expected text, json or"),
        (("job:fast", "job:fast", "--load", "half"), "--load 'half': expected open or closed"),
        (("job:fast", "job:fast", "--threshold", "-1"), "--threshold -1: expected 0 or more"),
        (("job:fast", "job:fast", "--resolution", "0"), "--resolution 0: expected more than 0"),
        (("job:fast", "job:fast", "--confidence", "100"), "--confidence 100: expected 50 or more"),
        (("job:fast", "job:fast", "--output", "no/such/x"), "expected a file name in an existing"),
    ],
)
def test_errors_are_one_line_and_say_what_to_do(
    lake: Lake, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = run(lake, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_without_a_lake_or_an_index_it_says_what_comes_next(tmp_path: Path) -> None:
    code, out, err = run(None, "job:a", "job:b")
    assert (code, out) == (2, "")
    assert "give --lake DIR or TOKENERGY_LAKE" in err
    (tmp_path / "lake").mkdir()
    builder = LakeBuilder(tmp_path / "lake")
    assert "has no readings yet" in run(builder.lake, "job:a", "job:b")[2]
    builder.device("a")
    builder.power("a", [(T0, 1000), (T0 + 1_000_000, 1000)])
    assert "run `tokenergy run --lake" in run(builder.lake, "job:a", "job:b")[2]
