"""How pages are run: what is shown and not printed is found, as is a command that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import taskpages
from tests.docs.taskpages import blocks, not_as_shown, run

PAGE = """# A page

```sh
echo "took 12 J   of 3 boards"; x=1
```

```text
{shown}
```

<!-- not run: a cluster -->
```sh
exit 3
```

```sh
{last}
```
<!-- differs: the time -->
```text
at 10:00 … ended
```
"""


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(taskpages, "DOCS", tmp_path)
    return tmp_path / "page.md"


def shown(page: Path, shown: str, last: str = 'echo "at 9:30:$x it ended"') -> list[str]:
    page.write_text(PAGE.format(shown=shown, last=last), "utf-8")
    return not_as_shown("page.md", run("page.md", page.parent))


def test_what_was_printed_is_found(page: Path) -> None:
    assert shown(page, "took 12 J of 3 boards") == []
    assert shown(page, "took … of 3 boards") == []


@pytest.mark.parametrize("line", ["took 13 J of 3 boards", "12 J of 3 boards", "took 12 J … board"])
def test_what_was_not_printed_is_named(page: Path, line: str) -> None:
    assert shown(page, line) == [line]


def test_where_figures_differ_words_count(page: Path) -> None:
    assert shown(page, "", 'echo "at 9:30 we ended"') == []
    assert shown(page, "", 'echo "at 9:30 it began"') == ["at 10:00 … ended"]


def test_a_command_that_fails_ends_the_page(page: Path) -> None:
    page.write_text(PAGE.format(shown="", last="false; echo no"), "utf-8")
    session = run("page.md", page.parent)
    assert session.code == 1
    assert session.printed[3] == ""


def test_blocks_that_do_not_run_say_why(page: Path) -> None:
    page.write_text(PAGE.format(shown="", last="true"), "utf-8")
    assert [b.reason for b in blocks("page.md") if b.marker == "not run"] == ["a cluster"]


def test_what_is_replaced_must_be_there(page: Path) -> None:
    page.write_text(PAGE.format(shown="", last="true"), "utf-8")
    with pytest.raises(AssertionError, match="no longer has"):
        run("page.md", page.parent, replaced={"nowhere": ""})
