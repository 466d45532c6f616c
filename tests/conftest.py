"""`segments.cu` compiled for the host, once for all tests."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.support.host_shim import LIBRARY, HostKernels, build, compiler
from tests.support.once import once
from tokenergy_collectors.base.logs import HANDLER


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
