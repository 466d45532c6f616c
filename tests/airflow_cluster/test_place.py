"""The bucket of the cluster's tests: files arrive in it; its server goes away and comes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import s3fs
from botocore.exceptions import EndpointConnectionError

from tests.airflow_cluster.place import Bucket
from tests.support import s3
from tests.support.lakes import T0, LakeBuilder, S, level


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    made = Bucket(tmp_path_factory.mktemp("bucket"))
    yield made
    made.close()


@pytest.fixture
def client(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Goes to the bucket as a worker does: by its environment, and at once or not at all."""
    s3.set_environment(monkeypatch)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for name, value in bucket.environment.items():
        monkeypatch.setenv(name, value)
    made = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
    made.retries = 1
    return made


def test_what_is_put_is_in_the_copy(bucket: Bucket, tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "made")
    builder.power("A", level(100_000, T0, T0 + 100 * S, S))
    bucket.put(builder.lake.root, builder.lake.files("power"))
    bucket.write("site.toml", "[site]\npue = 1.2\n")
    copy = bucket.snapshot(tmp_path / "copy")
    assert copy.read("power").equals(builder.lake.read("power"))
    assert (copy.root / "site.toml").read_text() == "[site]\npue = 1.2\n"


def test_the_server_is_away_for_a_while_and_has_kept_what_it_had(
    bucket: Bucket, client: Any
) -> None:
    bucket.write("kept", "as it was")
    assert client.cat_file(f"{bucket.url}/kept") == b"as it was"
    timer = bucket.away(600)
    try:
        with pytest.raises(EndpointConnectionError):
            client.cat_file(f"{bucket.url}/kept")
    finally:
        timer.cancel()
        bucket.away(0).join()
    assert client.cat_file(f"{bucket.url}/kept") == b"as it was"
