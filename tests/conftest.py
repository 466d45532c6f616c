"""`segments.cu` compiled for the host, once for all tests."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.host_shim import LIBRARY, HostKernels, build, compiler
from tests.support.once import once
from tokenergy_collectors.base.logs import HANDLER
from tokenergy_collectors.sources.rapl import zones
from tokenergy_sql.catalog.duck import THREADS_VARIABLE

# A test waits for an event, not for a time: a busy machine is no finding.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Keep DuckDB to one thread: small lakes are faster so, and workers share the cores.

    `make demo`, `make oracle` and `make e2e-dags` use all cores.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(THREADS_VARIABLE, "1")
        yield


@pytest.fixture(scope="session", autouse=True)
def no_meters_of_this_host() -> Iterator[None]:
    """Hide this host's own RAPL meters: on some machines tests would see them, on others not."""
    folders = zones._folders

    def without_sys(folder: Path) -> dict[str, Path]:
        return {} if folder.is_relative_to("/sys") else folders(folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zones, "_folders", without_sys)
        yield


@pytest.fixture(autouse=True)
def no_log_left() -> Iterator[None]:
    """Take the collector's log away again: it would write the lines of the tests that follow."""
    yield
    logging.getLogger().removeHandler(HANDLER)
    logging.captureWarnings(False)


@pytest.fixture(scope="session")
def host_kernels(tmp_path_factory: pytest.TempPathFactory) -> HostKernels:
    if compiler() is None:
        pytest.skip("no C++ compiler: the CUDA source cannot run on the host")
    return HostKernels(once(tmp_path_factory, "host_kernels", build) / LIBRARY)
