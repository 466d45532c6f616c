"""Checks for the preflight whether the store answers; it writes nothing.

In: a configuration. Out: a finding, if uploads are configured. A store that does not answer is a
warning, since it may answer later; a missing package is a failure.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.upload.opening import open_store
from tokenergy_collectors.upload.settings import Upload
from tokenergy_collectors.upload.store import StoreError


def upload_findings(upload: Upload, lake: Path) -> Iterator[Finding]:
    """Yield what is found when the store is asked once."""
    if upload.to is None:
        return
    try:
        store = open_store(upload, lake)
    except UserError as error:
        yield Finding("FAIL", "upload", str(error))
        return
    began_s = time.monotonic()
    try:
        remark = store.probe()
    except StoreError as error:
        yield Finding("warn", "upload", f"{upload.to}: {error}")
        return
    took_ms = (time.monotonic() - began_s) * 1000
    if remark:
        yield Finding("warn", "upload", f"{upload.to}: {remark}")
    else:
        yield Finding("ok", "upload", f"{upload.to} answers ({took_ms:.0f} ms)")
