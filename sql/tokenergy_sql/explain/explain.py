"""Explains a job: the whole way from its readings to its index, with files, rows and numbers.

In: a lake and a job_id. Out: one document (a dict of JSON types), printed as JSON or as text.
Every formula is computed again from the rows shown and compared with the index; a figure that does
not agree is marked, not hidden.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.explain.derivation import derivation
from tokenergy_sql.explain.formulas import formulas
from tokenergy_sql.report.meanings import METHODS, REASONS
from tokenergy_sql.terminal.jobnames import find_job
from tokenergy_sql.terminal.jsontext import finite

FORMATS = ("text", "json")

_ELSEWHERE = "see docs/index-definition.md and docs/ledger.md"


def explanation(lake: Lake, job_id: str) -> dict[str, Any]:
    """Return the document: what `derivation` returns, the formulas, and the codes in words.

    Raises:
        UserError: the lake has no such job, or the job is not indexed.
    """
    job_id = find_job(lake, job_id)
    derived = derivation(lake, job_id)
    index = derived["index"]
    codes = [code for code in index["reason_codes"].split(",") if code]
    methods = [method for method in index["method"].split("+") if method]
    return {
        "job_id": job_id,
        **derived,
        "formulas": formulas(derived),
        "reasons": {code: REASONS.get(code, _ELSEWHERE) for code in codes},
        "methods": {method: METHODS.get(method, _ELSEWHERE) for method in methods},
    }


def print_explanation(root: Path, job_id: str, output_format: str) -> None:
    """Print how a job's figures were derived.

    Raises:
        UserError: the lake has no such job, it is not indexed, or the format is unknown.
    """
    from tokenergy_sql.explain.text import print_text

    if output_format not in FORMATS:
        raise UserError(f"--format {output_format!r}: expected {' or '.join(FORMATS)}")
    lake = Lake(root)
    document = explanation(lake, job_id)
    if output_format == "json":
        print(json.dumps(finite(document), indent=1, allow_nan=False))
    else:
        print_text(document)
