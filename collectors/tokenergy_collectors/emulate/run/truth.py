"""The truth about an emulated node, as rows and as a JSON file.

In: what the node knows exactly: energy at edges, token totals at ends. Out: one row for each board,
for each job or stray process and board, and for each job whose tokens are counted there. Stamps are
UTC microseconds; energy is in nanojoules.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenergy_collectors.base.output import write_text


def energy_row(
    row: str,
    owner: Mapping[str, str],
    node: str,
    device_id: str,
    stamps_us: tuple[int, int],
    energy_nj: int,
    module_rest_mw: int,
) -> dict[str, Any]:
    """Return the energy of a board in an interval.

    Args:
        row: what the row is: `board`, `allocation` or `stray`.
        owner: the job or stray process, by the name of its key; empty for the board itself.
        node: name of the node.
        device_id: UUID of the board.
        stamps_us: start and end, UTC microseconds.
        energy_nj: exact energy of the GPU.
        module_rest_mw: power of what shares a module with the GPU; 0 without a module.
    """
    start_us, end_us = stamps_us
    found = {
        "row": row,
        **owner,
        "node": node,
        "device_id": device_id,
        "start_us": start_us,
        "end_us": end_us,
        "energy_nj": energy_nj,
    }
    if module_rest_mw:
        # mW times microseconds are nanojoules.
        found["module_energy_nj"] = energy_nj + module_rest_mw * (end_us - start_us)
    return found


def token_row(
    job_id: str, node: str, tokens: Mapping[str, int], requests: int | None
) -> dict[str, Any]:
    """Return a job's tokens by the kinds of the contract; a prompt without its cache hits.

    Args:
        job_id: the job.
        node: name of the node.
        tokens: by the counters of its workload.
        requests: that ended, if its server tells them.
    """
    found = dict(tokens)
    if "prompt" in found:
        # The engine's counter includes cache hits; the contract counts the two apart.
        found["prompt_computed"] = found.pop("prompt") - found["prompt_cached"]
    if requests is not None:
        found["requests"] = requests
    return {"row": "tokens", "job_id": job_id, "node": node, **found}


def write_json(path: Path, head: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the truth: a reader finds a whole file or none; see `base.output.writing`.

    Raises:
        UserError: the file cannot be written.
        OutputError: the reader of a FIFO has gone, or standard output is full.
    """
    write_text(json.dumps({**head, "rows": rows}, indent=1) + "\n", path)
