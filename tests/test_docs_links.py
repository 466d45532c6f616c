"""Every relative link of the pages leads somewhere: to a file that exists, and to a heading in it.

No network: links to other sites are left alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])

_FENCED = re.compile(r"^ *(```+|~~~+).*?^ *\1 *$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_NAMED = re.compile(r'<a id="([^"]+)"></a>')
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)


def links_of(text: str) -> list[str]:
    """Return the targets of a page's links, those in code left out."""
    return _LINK.findall(_CODE.sub("", _FENCED.sub("", text)))


def anchors_of(text: str) -> set[str]:
    """Return the anchors of a page: those that GitHub gives its headings, and those it names."""
    text = _FENCED.sub("", text)
    seen: Counter[str] = Counter()
    anchors = set(_NAMED.findall(text))
    for heading in _HEADING.findall(text):
        shown = _LINK.sub(lambda link: link[0][1 : link[0].index("]")], heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        anchors.add(slug if not seen[slug] else f"{slug}-{seen[slug]}")
        seen[slug] += 1
    return anchors


def broken_links(page: Path, root: Path) -> Iterator[str]:
    """Yield the relative links of a page that lead nowhere, and why."""
    for link in links_of(page.read_text("utf-8")):
        if _ELSEWHERE.match(link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.is_relative_to(root.resolve()) or not target.exists():
            yield f"{link}: no such file"
        elif anchor and anchor not in anchors_of(target.read_text("utf-8")):
            yield f"{link}: {target.name} has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    assert list(broken_links(page, ROOT)) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text(
        '# B\n\n## What `x_y` costs, and [why](c.md)?\n\n## B\n<a id="old"></a>\n'
    )
    page = tmp_path / "a.md"
    page.write_text(
        "[1](b.md) [2](b.md#b-1) [3](b.md#what-x_y-costs-and-why) [4](#here) [5](https://x/y#z)\n"
        "[5](b.md#old) [6](c.md) [7](b.md#nowhere) ![8](no.png) [9](#there) [10](../outside.md)\n"
        "`[code](d.md)`\n```sh\n# there\n[code](d.md)\n```\n# Here\n"
    )
    (tmp_path.parent / "outside.md").write_text("not of this project")
    assert list(broken_links(page, tmp_path)) == [
        "c.md: no such file",
        "b.md#nowhere: b.md has no such heading",
        "no.png: no such file",
        "#there: a.md has no such heading",
        "../outside.md: no such file",
    ]


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {link.partition("#")[0] for link in links_of((ROOT / "README.md").read_text("utf-8"))}
    pages = {f"docs/{page.name}" for page in PAGES if page.parent.name == "docs"}
    assert pages - linked == set()
