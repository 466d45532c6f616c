"""`segments.cu` compiled for the host, once for all tests."""

from __future__ import annotations

import pytest

from tests.support.host_shim import HostKernels, build, compiler


@pytest.fixture(scope="session")
def host_kernels(tmp_path_factory: pytest.TempPathFactory) -> HostKernels:
    if compiler() is None:
        pytest.skip("no C++ compiler: the CUDA source cannot run on the host")
    return HostKernels(build(tmp_path_factory.mktemp("host_kernels")))
