"""One colour and one label a job, the same in every chart and in the table.

In: the jobs, the largest consumer first. Out: `Mark` by job. Colours are CSS variables of
`style.css`, which has a value for light and for dark; charts are SVG, so they follow it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from urllib.parse import quote

from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.report.facts import NAMED_JOBS
from tokenergy_sql.report.format import clean, shorten

FREE_IDLE = "var(--free)"
UNATTRIBUTED = "var(--stray)"
OTHER = "var(--other)"
ACCOUNTS = {
    "active": "var(--active)",
    "resident_idle": "var(--held)",
    "free_idle": FREE_IDLE,
    "unattributed": UNATTRIBUTED,
    "gap": "var(--unknown)",
}
UNKNOWN = "var(--unknown)"

_LABEL = 22


@dataclass(frozen=True, slots=True)
class Mark:
    """How a job is shown: its whole name, a short and unique label, its colour, its page."""

    name: str
    label: str
    color: str
    href: str = ""


def marks(jobs: list[NamedRow]) -> dict[str, Mark]:
    """Return the mark of each job, by job_id."""
    names = {job["job_id"]: clean(job["name"] or job["job_id"]) for job in jobs}
    short = {job_id: shorten(name, _LABEL) for job_id, name in names.items()}
    often = Counter(short.values())
    taken: set[str] = set()
    found = {}
    for place, (job_id, label) in enumerate(short.items()):
        if often[label] > 1:
            half = _LABEL // 2 - 1
            label = f"{shorten(names[job_id], half)} · {shorten(clean(job_id), half)}"
        if label in taken:
            label = f"{label} #{place + 1}"
        taken.add(label)
        color = f"var(--job-{place + 1})" if place < NAMED_JOBS else OTHER
        found[job_id] = Mark(names[job_id], label, color, f"#/job/{quote(job_id, safe='')}")
    return found
