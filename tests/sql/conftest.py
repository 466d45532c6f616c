"""A small lake that is built once: nobody who takes it changes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cluster import small_cluster
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.site import load_site


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    root: Path = tmp_path_factory.mktemp("cluster") / "lake"
    builder = small_cluster(root)
    return builder.build(load_site(None, root))
