"""The job that a user names: by its key, or by its id where one cluster alone has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.lakes import T0, LakeBuilder, S
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.terminal.jobnames import find_job


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    builder = LakeBuilder(tmp_path)
    builder.device("GPU-a")
    for cluster, job in (("a", "17"), ("b", "17"), ("b", "18"), (None, "19"), (None, "ns/20")):
        builder.job(job, "GPU-a", T0, T0 + S, cluster=cluster)
    builder.tokens("served", [(T0, 0), (T0 + S, 5)])
    return builder.lake


@pytest.mark.parametrize(
    ("name", "key"),
    [
        *(("a/17", "a/17"), ("b/17", "b/17"), ("18", "b/18"), ("19", "19"), ("ns/20", "ns/20")),
        ("served", "served"),
    ],
)
def test_a_job_by_its_key_or_by_an_id_that_is_unique(lake: Lake, name: str, key: str) -> None:
    assert find_job(lake, name) == key


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("17", "several clusters have this id; name one of a/17, b/17"),
        ("20", "did you mean ns/20"),
        ("c/17", "did you mean"),
    ],
)
def test_what_is_no_one_job_names_the_candidates(lake: Lake, name: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        find_job(lake, name)
