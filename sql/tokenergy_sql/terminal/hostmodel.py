"""Prints a model of hosts as lines of the site file, with its errors as comments.

In: a lake, nodes and hours. Out: TOML on standard output.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np
import typer

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.nameranges import expand_names
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.nodenames import NodeNames
from tokenergy_sql.terminal.hostfit import Fitted, fitted, hours_of

_COLUMNS = (
    *("node", "hour_us", "method", "watched_us", "covered_us", "host_nj", "host_low_nj"),
    *("host_high_nj", "cpu_nj", "boards_nj"),
)


def print_host_model(
    lake: Lake, nodes: Sequence[str], between_us: tuple[int | None, int | None]
) -> None:
    """Print the model that the metered hours of some nodes teach.

    Args:
        lake: the lake.
        nodes: their names, or ranges of names; all nodes if none.
        between_us: first hour, and the hour before which to end; None: of any.

    Raises:
        UserError: too few hours were measured, or a range is wrong.
    """
    rows = lake.read("host_hour", columns=_COLUMNS).to_pylist()
    every = _written_out(nodes)
    names = NodeNames({row["node"] for row in rows}, every)
    chosen = {alias for node in every for alias in names.same(node)}
    from_us, until_us = between_us
    wanted = [
        row
        for row in rows
        if (not nodes or row["node"] in chosen)
        and (from_us is None or row["hour_us"] >= from_us)
        and (until_us is None or row["hour_us"] + HOUR_US <= until_us)
    ]
    try:
        found = fitted(hours_of(wanted))
    except ValueError as error:
        raise UserError(
            f"host-model: {error}; a node teaches while a meter at node:NAME and its boards are "
            "known for whole hours (see docs/host-energy.md)"
        ) from None
    for line in lines(found, nodes):
        typer.echo(line)


def _written_out(nodes: Sequence[str]) -> list[str]:
    try:
        return [name for node in nodes for name in expand_names(node)]
    except ValueError as error:
        raise UserError(f"--nodes: {error}") from None


def lines(found: Fitted, nodes: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the site file; what is not part of it is a comment."""
    model = found.model
    yield f"# Learned from {found.hours} node-hours of {found.nodes} metered nodes."
    if len(found.errors_mw):
        shares = np.quantile(found.errors_mw, (0.0, 0.05, 0.5, 0.95, 1.0)) / 1e3
        names = ("least", "5 %", "median", "95 %", "most")
        text = ", ".join(f"{n} {w:+.1f}" for n, w in zip(names, shares, strict=True))
        yield "# Learned from the first 70 % of them and tried on the rest:"
        yield f"#   measured less modelled, W: {text}"
        yield f"#   within the bounds: {100 * found.inside:.1f} % of {len(found.errors_mw)}"
    if not found.accurate:
        yield "# No accuracy is declared of a meter: the bounds do not hold its error."
    if not found.processors:
        yield "# No node shows what its processors draw: the model follows the boards alone."
    yield "[[host_model]]"
    if nodes:
        yield f"nodes = {json.dumps([*nodes], ensure_ascii=False)}"
    yield f"base_w = {model.base_mw / 1e3}"
    if model.cpu_ppm:
        yield f"per_cpu = {model.cpu_ppm / 1e6}"
    if model.gpu_ppm:
        yield f"per_gpu = {model.gpu_ppm / 1e6}"
    yield f"below_w = {model.below_mw / 1e3}"
    yield f"above_w = {model.above_mw / 1e3}"
    yield f"input_percent = {model.input_ppm / 1e4}"
    if model.cpu_ppm:
        yield f"cpu_w = [{model.cpu_least_mw / 1e3}, {model.cpu_most_mw / 1e3}]"
    yield f"gpu_w = [{model.gpu_least_mw / 1e3}, {model.gpu_most_mw / 1e3}]"
