"""Runs the commands of a page of docs/ as its reader would, and holds its output to what it shows.

In: a page in Markdown. Out: what each block of commands printed. A page is one session: all its
`sh` blocks run one after the other in one shell, in a folder that looks like a clone. Comments
above a block say what is not as it looks:

    <!-- not run: REASON -->      these commands need what no test has; tests count and list them
    <!-- differs: REASON -->      of this output, only the words are compared, not the figures
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tokenergy_sql.catalog.duck import THREADS_VARIABLE

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BIN = Path(__file__).with_name("bin")
"""Programs in place of those that change the machine, such as pip."""

_BLOCK = re.compile(
    r"^(?:<!-- (?P<marker>not run|differs): (?P<reason>[^\n]+) -->\n)?"
    r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_NUMBER = re.compile(r"\d+(?:[,.:]\d+)*")
_BETWEEN = "@@ block {}"
TIMEOUT_S = 900.0


@dataclass(frozen=True)
class Block:
    """A fenced block: its kind (`sh`, `text`, ...), its text, and what the comment above says."""

    kind: str
    text: str
    marker: str | None
    reason: str | None

    @property
    def runs(self) -> bool:
        return self.kind == "sh" and self.marker is None


@dataclass
class Session:
    """What a page's commands printed, by the number of the block; and how the shell ended."""

    printed: dict[int, str] = field(default_factory=dict)
    code: int = 0


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page in order."""
    text = (DOCS / page).read_text("utf-8")
    return [
        Block(found["kind"], found["text"], found["marker"], found["reason"])
        for found in _BLOCK.finditer(text)
    ]


def prose(page: str) -> str:
    """Return a page without its blocks and comments."""
    text = (DOCS / page).read_text("utf-8")
    return re.sub(r"<!--.*?-->", "", _BLOCK.sub("", text), flags=re.DOTALL)


def clone(folder: Path) -> Path:
    """Make a folder that has what the commands of the pages read of a clone; return it."""
    for name in ("deploy", "dags", "docs/examples"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True)
    for name in ("pyproject.toml", "Makefile"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def run(
    page: str,
    folder: Path,
    *,
    replaced: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Session:
    """Run the commands of a page in a folder.

    Args:
        page: name of the page.
        folder: a `clone`.
        replaced: what to put for parts of the commands, such as an address; each must occur.
        environment: variables in addition to those of the tests.
    """
    script = ["set -euo pipefail"]
    for number, block in enumerate(blocks(page)):
        if block.runs:
            script += [f"echo '{_BETWEEN.format(number)}'", block.text]
    text = "\n".join(script)
    for old, new in (replaced or {}).items():
        assert old in text, f"{page} no longer has {old!r}"
        text = text.replace(old, new)
    code, output = _shell(text, folder, environment or {})
    parts = re.split(rf"^{_BETWEEN.format('([0-9]+)')}\n", output, flags=re.MULTILINE)[1:]
    numbers, texts = parts[::2], parts[1::2]
    return Session({int(n): t for n, t in zip(numbers, texts, strict=True)}, code)


def _shell(script: str, folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a script in a process group of its own, and end all of the group."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("TOKENERGY", "SLURM"))}
    path = f"{BIN}:{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    # The path comes last: with another one a page would install packages.
    variables |= {THREADS_VARIABLE: "1", **environment, "PATH": path}
    assert shutil.which("pip", path=path) == str(BIN / "pip")
    with (folder / ".printed").open("w+", encoding="utf-8") as printed:
        shell = subprocess.Popen(
            ["bash", "-c", script],
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = shell.wait(TIMEOUT_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
        printed.seek(0)
        return code, printed.read()


def not_as_shown(page: str, session: Session) -> list[str]:
    """Return the lines that a page shows and that its commands did not print, in this order.

    A `text` block shows some of the lines that the last `sh` block before it printed. Spaces do
    not count, `…` stands for anything, and lines of `━` are frames.
    """
    wrong, printed = [], ""
    for number, block in enumerate(blocks(page)):
        if block.kind == "sh":
            printed = session.printed.get(number, "")
        elif block.kind == "text" and block.marker != "not run":
            wrong += _unprinted(block, printed)
    return wrong


def _unprinted(block: Block, printed: str) -> list[str]:
    masked = block.marker == "differs"
    lines = iter([_plain(line, masked) for line in printed.splitlines()])
    wrong = []
    for shown in block.text.splitlines():
        words = _plain(shown, masked)
        if words and not any(_matches(words, line) for line in lines):
            wrong.append(shown)
            lines = iter([_plain(line, masked) for line in printed.splitlines()])
    return wrong


def _plain(line: str, masked: bool) -> str:
    line = re.sub(r"\s+", " ", line.replace("│", "┃")).strip()
    line = "" if line.startswith("━") else line
    return _NUMBER.sub("#", line) if masked else line


def _matches(shown: str, line: str) -> bool:
    pattern = ".*".join(re.escape(part.strip()) for part in shown.split("…"))
    return re.search(rf"^{pattern}$", line) is not None


def words_of(texts: Iterable[str], program: str) -> set[str]:
    """Return the commands of a program that texts name, such as `import nvidia-smi`."""
    pattern = rf"(?:^|[`|&;]) *{program} ((?:import |config )?[a-z][a-z-]*)"
    return {found for text in texts for found in re.findall(pattern, text, re.MULTILINE)}
