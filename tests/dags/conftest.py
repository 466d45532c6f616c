"""An Airflow installation for all tests of the DAG."""

from __future__ import annotations

import pytest

from tests.support.airflow import Airflow


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    installed = Airflow(tmp_path_factory.mktemp("airflow"))
    done = installed.run(["-m", "airflow", "db", "migrate"])
    assert done.returncode == 0, done.stdout
    return installed
