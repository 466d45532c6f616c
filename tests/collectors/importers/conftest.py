from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tokenergy_collectors.lake import Lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", create=True)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Write a file and return its path."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / "input.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write
