"""Reads a page for tests: the embedded data, the rows of the charts, tags and styles."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any


@dataclass
class Shown:
    """A cell: its text or why there is none, the exact value, bounds as shown and exact."""

    text: str | None
    raw: str = ""
    why: str = ""
    low: str = ""
    high: str = ""
    ends: list[str] = field(default_factory=list)


def embedded(page: str) -> dict[str, Any]:
    """Return the data of the jobs."""
    [found] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    data: dict[str, Any] = json.loads(found)
    return data


def job_fields(page: str) -> dict[str, dict[str, Shown]]:
    """Return the fields of each job by job_id, in the order of the page."""
    data = embedded(page)
    found = {}
    for job_id, row in zip(data["ids"], data["rows"], strict=True):
        cells = dict(zip(data["names"], row, strict=True))
        found[job_id] = {name: _shown(cell, data["whys"]) for name, cell in cells.items()}
    return found


def job_page(page: str, job_id: str) -> dict[str, Any]:
    """Return what the page of a job shows beside its figures."""
    data = embedded(page)
    shown: dict[str, Any] = data["pages"][data["ids"].index(job_id)]
    return shown


def _shown(cell: Any, whys: list[str]) -> Shown:
    if isinstance(cell, int):
        return Shown(None, why=whys[cell])
    if isinstance(cell, str):
        return Shown(cell, raw=cell)
    text, raw, *rest = cell
    low, high, *ends = rest or ["", ""]
    return Shown(text, raw, low=low, high=high, ends=ends)


def charts(page: str) -> dict[str, dict[str, Any]]:
    """Return specification and rows of the page's own charts, by name."""
    found = re.findall(
        r'<script type="application/json" data-chart="chart-([\w-]+)">(.*?)</script>', page, re.S
    )
    return {name: json.loads(text) for name, text in found}


class Reader(HTMLParser):
    """Collects tags, styles and all text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.styles: list[str] = []
        self._in_style = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_style = tag == "style"

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.styles.append(data)
