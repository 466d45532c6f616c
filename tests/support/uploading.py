"""A lake of small sealed files, and an uploader whose events are kept."""

from __future__ import annotations

import hashlib
import os
import time

from tests.support.lakes import T0, LakeBuilder, S
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.upload.opening import open_store
from tokenergy_collectors.upload.settings import Upload
from tokenergy_collectors.upload.uploader import Uploader
from tokenergy_collectors.upload.verified import Verified


def fill(root, hours=2, node="n1", readings=50):
    """Seal power, state and an event in each of some hours; return the lake."""
    builder = LakeBuilder(root)
    for hour in range(hours):
        start = T0 + hour * HOUR_US
        stamps = [start + i * S for i in range(readings)]
        builder.power("GPU-a", [(ts, 100_000 + ts % 977) for ts in stamps], node=node)
        state = [{"ts_us": ts, "device_id": "GPU-a", "sm_util": 5} for ts in stamps]
        builder.add("state", state, node)
        builder.add("event", [{"ts_us": start, "node": node, "kind": "start"}], node)
    return builder.lake


def files(root):
    """Digests of all Parquet files below a folder, by relative path."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*.parquet"))
    }


def make_old(root, seconds=10_000):
    for path in root.rglob("*.parquet"):
        os.utime(path, (time.time() - seconds,) * 2)


class Uploading:
    """An uploader on a lake; `events` holds what it told."""

    def __init__(self, lake, to, node="n1", **upload):
        settings = {"every_s": 0.1, "timeout_s": 20.0, "retry_s": 0.1, "retry_limit_s": 0.4}
        self.upload = Upload(to=to, **(settings | upload))
        self.events = []
        self.verified = Verified(lake.root, node, to)
        self.store = open_store(self.upload, lake.root)
        self.uploader = Uploader(
            self.upload, lake, node, self.store, self.verified,
            lambda *event: self.events.append(event), Log("text"),
        )  # fmt: skip

    def run(self):
        return self.uploader.run()

    @property
    def counters(self):
        return self.uploader.counters

    @property
    def kinds(self):
        return [kind for kind, _ in self.events]
