"""Recognizes outputs of nvidia-smi (and other text) that are no log of `--query-gpu`.

In: a line. Out: what it is, in words that say what to record instead.
"""

from __future__ import annotations

import re

WANTED = "nvidia-smi --query-gpu=timestamp,uuid,index,power.draw --format=csv -l 1"
"""A command that writes a log as it is wanted."""

DMON = "a log of nvidia-smi dmon"

_SHAPES = (
    (re.compile(r"<\?xml|<!DOCTYPE|<nvidia_smi_log"), "the XML of nvidia-smi -q -x"),
    (re.compile(r"#.*\bgpu\b.*\bpid\b", re.IGNORECASE), "a log of nvidia-smi pmon"),
    (re.compile(r"#.*\bgpu\b", re.IGNORECASE), DMON),
    (re.compile(r"\+[-=]{3,}|\|\s*NVIDIA-SMI "), "the table that nvidia-smi prints"),
    (re.compile(r"=+\s*NVSMI LOG"), "the report of nvidia-smi -q"),
    (re.compile(r"[{\[]\s*([\"{\[]|$)"), "JSON"),
)

_STAMP = re.compile(r"-?\d{4,}(?:[-/.]\d|\s*[,;\t]|$)", re.ASCII)
"""How a stamp begins: a year and a separator, or Unix seconds."""


def shape_of(line: str) -> str | None:
    """Return what an output that begins like this is; None if it may be a log."""
    text = line.strip()
    return next((shape for pattern, shape in _SHAPES if pattern.match(text)), None)


def begins_with_stamp(line: str) -> bool:
    """Return whether a line begins as a reading does: with a stamp, whole or cut off."""
    return _STAMP.match(line.strip()) is not None
