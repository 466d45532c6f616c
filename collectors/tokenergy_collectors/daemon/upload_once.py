"""`tokenergy-collect upload`: uploads everything that the store does not have yet, once.

In: a configuration. Out: files in the store, and what could not be uploaded. The logs of a killed
daemon are sealed first, so that nothing is left on the host; a running daemon seals its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import EVENT
from tokenergy_collectors.lake.paths import escape_node
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.spool.folder import FOLDER
from tokenergy_collectors.spool.spool import Spool
from tokenergy_collectors.spool.wal import SUFFIX
from tokenergy_collectors.upload.opening import open_store
from tokenergy_collectors.upload.uploader import UploadCounters, Uploader
from tokenergy_collectors.upload.verified import Verified

Say = Callable[[str], None]


def upload_once(config: Config, say: Say) -> tuple[UploadCounters, list[str]]:
    """Upload what waits; return what was done, and what failed, in words.

    Args:
        config: with `upload.to`.
        say: takes lines about rows found in the logs.

    Raises:
        UserError: the lake does not exist, `upload.to` is missing, or the store cannot be used.
    """
    upload = config.upload
    if upload.to is None:
        raise UserError("upload.to is not set; expected s3://BUCKET/PREFIX or a path")
    lake = Lake(config.lake)
    store = open_store(upload, lake.root)
    waiting = _seal_what_was_left(lake, config.node, say)
    verified = Verified(lake.root, config.node, upload.to)
    log = Log(config.log_format)
    uploader = Uploader(upload, lake, config.node, store, verified, lambda *_: None, log)
    problems = [*waiting, *uploader.run()]
    return uploader.counters, problems


def _seal_what_was_left(lake: Lake, node: str, say: Say) -> list[str]:
    """Seal the logs of a daemon that was killed; return what prevents that, in words."""
    folder = lake.root / FOLDER / escape_node(node)
    # A spool writes to its folder, so it is opened only if rows wait there.
    if not any(path.stat().st_size for path in folder.glob(f"*{SUFFIX}")):
        return []
    if not os.access(folder, os.W_OK):
        return [f"{folder}: rows wait in the log, but this user may not write there"]
    try:
        spool = Spool(lake, node, lambda table, rows, why: say(f"{rows} rows of {table}: {why}"))
    except UserError:
        return []  # a daemon is running: it seals its own logs
    try:
        found = spool.recover()
        events = [("torn", text) for text in found.torn]
        events += [("quarantined", text) for text in found.unreadable]
        if found.rows:
            text = f"{found.rows} rows over {found.span_s:.3f} s from the log"
            events.append(("recovered", text))
        now_us = time.time_ns() // 1000
        rows = [
            EVENT.make_row(ts_us=now_us, node=node, kind=kind, detail=text) for kind, text in events
        ]
        spool.add("event", rows)
        for kind, text in events:
            say(f"{kind}: {text}")
        spool.seal()
    except UserError as error:
        return [str(error)]
    finally:
        spool.close()
    return []
