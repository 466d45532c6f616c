"""A small lake that is built once: nobody who takes it changes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cluster import small_cluster
from tests.support.once import once
from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog.file import write_catalog
from tokenergy_sql.index.site import load_site


def _make_cluster(folder: Path) -> None:
    root = folder / "lake"
    write_catalog(small_cluster(root).build(load_site(None, root)))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake(once(tmp_path_factory, "cluster", _make_cluster) / "lake")
