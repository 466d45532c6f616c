"""The outcome of `tokenergy gate` for programs: JSON, and JUnit for CI systems.

In: an outcome. Out: text. What is not known is null in JSON and absent in JUnit.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree

from tokenergy_sql.gate.points import Stratum, tokens_of
from tokenergy_sql.gate.verdict import REASONS, Outcome
from tokenergy_sql.terminal.gatetext import boards_of, te_of, text_of, verdict_line, why_not

_NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML file may hold, however they are written."""


def values_of(outcome: Outcome) -> dict[str, Any]:
    """Return the outcome as plain values; its keys are described in docs/gate.md."""
    chance, meters = outcome.chance, outcome.meters
    te = outcome.j_per_token or (None, None)
    return {
        "verdict": outcome.verdict,
        "reasons": list(outcome.reasons),
        "ratio": outcome.ratio,
        "ratio_low": outcome.low,
        "ratio_high": _finite(outcome.high),
        "chance_low": chance and chance.low,
        "chance_high": chance and chance.high,
        "meters_low": meters and meters[0],
        "meters_high": meters and _finite(meters[1]),
        "shared_meters": outcome.shared,
        "seen": outcome.seen,
        "threshold": outcome.wanted.threshold,
        "resolution": outcome.wanted.resolution,
        "confidence": outcome.wanted.confidence,
        "load": outcome.wanted.load,
        "sample": outcome.grain,
        "unit_s": chance and chance.unit_s,
        "base": _side(outcome, 0, te[0]),
        "head": _side(outcome, 1, te[1]),
        "points": [
            _point(outcome, one, compared=compared)
            for compared, strata in ((True, outcome.strata), (False, outcome.left_out))
            for one in strata
        ],
    }


def json_of(outcome: Outcome) -> str:
    """Return the outcome as JSON."""
    return json.dumps(values_of(outcome), indent=2, allow_nan=False)


def junit_of(outcome: Outcome, *, strict: bool) -> str:
    """Return the outcome as a JUnit file with one test case.

    Args:
        outcome: what was found.
        strict: whether it is a failure if nothing can be told, and not only skipped.
    """
    failed = outcome.verdict == "worse" or (strict and outcome.verdict == "cannot_tell")
    skipped = outcome.verdict == "cannot_tell" and not strict
    totals = {"tests": "1", "failures": str(int(failed)), "errors": "0"}
    root = ElementTree.Element("testsuites", {"name": "tokenergy gate", **totals})
    suite = ElementTree.SubElement(
        root, "testsuite", {"name": "energy per token", **totals, "skipped": str(int(skipped))}
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in values_of(outcome).items():
        if isinstance(value, str | int | float):
            ElementTree.SubElement(properties, "property", {"name": name, "value": _xml(value)})
    name = f"J/token of {outcome.head.text} against {outcome.base.text}"
    case = ElementTree.SubElement(
        suite, "testcase", {"name": _xml(name), "classname": "tokenergy.gate", "time": "0"}
    )
    if failed or skipped:
        tag, kind = ("failure", {"type": outcome.verdict}) if failed else ("skipped", {})
        words = "; ".join(REASONS[code] for code in outcome.reasons) or verdict_line(outcome)
        ElementTree.SubElement(case, tag, {"message": _xml(words), **kind})
    ElementTree.SubElement(case, "system-out").text = _xml(text_of(outcome))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, "unicode")


FORMATS: Mapping[str, Callable[[Outcome, bool], str]] = {
    "text": lambda outcome, _: text_of(outcome),
    "json": lambda outcome, _: json_of(outcome),
    "junit": lambda outcome, strict: junit_of(outcome, strict=strict),
}
"""Formats by their names: functions of an outcome, and of whether it is strict."""


def _side(outcome: Outcome, place: int, te: float | None) -> dict[str, Any]:
    side = (outcome.base, outcome.head)[place]
    chance = outcome.chance
    return {
        "selection": side.text,
        "models": side.names("model"),
        "emulated": side.emulated,
        "tokens": side.tokens,
        "compared_share": outcome.compared[place],
        "j_per_token": te,
        "units": chance and chance.units[place],
    }


def _point(outcome: Outcome, one: Stratum, *, compared: bool) -> dict[str, Any]:
    return {
        "boards": boards_of(one),
        "workload": one.point.setup.workload,
        "operating_point": outcome.bins.words(one.point),
        "compared": compared,
        "why_not": None if compared else why_not(one).removeprefix("no: "),
        "base_samples": len(one.base),
        "head_samples": len(one.head),
        "base_tokens": tokens_of(one.base),
        "head_tokens": tokens_of(one.head),
        "base_j_per_token": te_of(one.base),
        "head_j_per_token": te_of(one.head),
    }


def _finite(value: float | None) -> float | None:
    """Return a number; None where nothing limits it, since JSON has no infinity."""
    return None if value is None or math.isinf(value) else value


def _xml(value: object) -> str:
    return _NO_XML.sub("?", str(value))
