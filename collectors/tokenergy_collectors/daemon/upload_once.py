"""`tokenergy-collect upload`: everything that waits into the store, once.

In: a configuration. Out: files in the store, and what could not be put there. Logs that a killed
daemon left are sealed first, so that a host may be drained; a daemon that runs does that itself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.lake import Lake
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
    """Upload what waits; return what was done, and what failed in words.

    Args:
        config: `upload.to` is given.
        say: takes lines about what was found in the logs.

    Raises:
        UserError: there is no such lake, nowhere to upload to, or the store cannot be used.
    """
    upload = config.upload
    if upload.to is None:
        raise UserError("nowhere to upload to: upload.to is not given; expected s3:// or a path")
    lake = Lake(config.lake)
    store = open_store(upload, lake.root)
    waiting = _seal_what_was_left(lake, config.node, say)
    verified = Verified(lake.root, config.node, upload.to)
    log = Log(config.log_format)
    uploader = Uploader(upload, lake, config.node, store, verified, lambda *_: None, log)
    problems = [*waiting, *uploader.run()]
    return uploader.counters, problems


def _seal_what_was_left(lake: Lake, node: str, say: Say) -> list[str]:
    """Seal the logs of a daemon that is gone; return what keeps rows from it, in words."""
    folder = lake.root / FOLDER / escape_node(node)
    if not any(path.stat().st_size for path in folder.glob(f"*{SUFFIX}")):
        return []
    if not os.access(folder, os.W_OK):
        return [f"{folder}: rows wait in the log, and it may not be written to"]
    try:
        spool = Spool(lake, node, lambda table, rows, why: say(f"{rows} rows of {table}: {why}"))
    except UserError:
        return []  # a daemon runs; what it sealed is uploaded
    try:
        found = spool.recover()
        told = [("torn", text) for text in found.torn]
        told += [("quarantined", text) for text in found.unreadable]
        if found.rows:
            text = f"{found.rows} rows over {found.span_s:.3f} s from the log"
            told.append(("recovered", text))
        now_us = time.time_ns() // 1000
        spool.add("event", [(now_us, node, None, kind, text) for kind, text in told])
        for kind, text in told:
            say(f"{kind}: {text}")
        spool.seal()
    except UserError as error:
        return [str(error)]
    finally:
        spool.close()
    return []
