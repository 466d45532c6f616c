"""Where `top` gets its frames: from a daemon's endpoint, or from boards that it samples itself.

In: options. Out: a `Look`, which returns the current frame each time it is called.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tokenergy_collectors.base.address import Address, parse_address
from tokenergy_collectors.base.clock import SystemClock
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.logs import SilentLog
from tokenergy_collectors.base.strict import load_toml
from tokenergy_collectors.live.board import WINDOW_US
from tokenergy_collectors.live.exposition import ViewCollector
from tokenergy_collectors.settings.config import Config, keys_of
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.nvml.boards import close_boards, open_boards
from tokenergy_collectors.sources.tokens.settings import TokenKeys
from tokenergy_collectors.top.client import ask
from tokenergy_collectors.top.frame import Frame, frame_of
from tokenergy_collectors.top.local import HeadStart, LocalWatch

Look = Callable[[], Frame]
"""Returns the current frame; raises `UserError` if there is none."""

_SCRAPE_S = 1.0
_FIRST_LOOK_S = 2.5
"""Long enough for the first gauges and scrapes."""

_RUN_UP_US = WINDOW_US + 15_000_000
"""Sampled before the first frame of an emulated node, so that it shows a whole minute."""

_BEGIN_US = 300_000_000


@dataclass(frozen=True, slots=True)
class TopOptions:
    """The options that say what `top` shows.

    Attributes:
        address: an endpoint, as text.
        config: a configuration file.
        emulate: a profile of emulated boards.
        node: the node of the profile; its first one if None.
        at_us: time into the profile at which to begin (us).
    """

    address: str | None = None
    config: Path | None = None
    emulate: str | None = None
    node: str | None = None
    at_us: int | None = None


@contextmanager
def looking(options: TopOptions) -> Iterator[Look]:
    """Open the endpoint or the boards for as long as the context lasts.

    Raises:
        UserError: an option cannot be used, or there is no driver.
    """
    if options.emulate is not None:
        with _emulated(options.emulate, options) as look:
            yield look
        return
    if options.node is not None or options.at_us is not None:
        raise UserError("--node and --at need --emulate")
    address = _endpoint(options)
    if address is not None:
        yield lambda: frame_of(ask(address))
        return
    with _here(_config(options.config, None)) as look:
        yield look


def _endpoint(options: TopOptions) -> Address | None:
    """Return the endpoint that the options name; None if they name none."""
    if options.address is not None:
        try:
            return parse_address(options.address)
        except ValueError as error:
            raise UserError(f"--from: {error}") from None
    listen = None if options.config is None else _config(options.config, None).metrics.listen
    return None if listen is None else parse_address(listen)


def _config(path: Path | None, node: str | None) -> Config:
    """Return a configuration; the file needs no lake, since `top` does not use it."""
    return load_toml(path, Config, {"lake": ".", "node": node})


def _often(config: Config) -> Config:
    """Return the configuration with token endpoints scraped at least once a second."""
    sources = [
        source.model_copy(update={"every_s": min(source.every_s, _SCRAPE_S)})
        for source in keys_of(config, TokenKeys).tokens
    ]
    return config.model_copy(update={"tokens": tuple(sources)})


@contextmanager
def _here(config: Config) -> Iterator[Look]:
    boards, _ = open_boards()
    try:
        host = Host(config.node, SystemClock(), SilentLog(), boards=boards, cluster=config.cluster)
        with _running(LocalWatch(_often(config), host)) as look:
            threading.Event().wait(_FIRST_LOOK_S)
            yield look
    finally:
        close_boards()


@contextmanager
def _emulated(profile_name: str, options: TopOptions) -> Iterator[Look]:
    # Imported here: only emulated boards need the emulator.
    from tokenergy_collectors.emulate.profile.profile import load_profile
    from tokenergy_collectors.emulate.run.emulated import emulated_config
    from tokenergy_collectors.emulate.run.node import EmulatedNode

    if options.address is not None:
        raise UserError("--from and --emulate: expected only one of them")
    profile = load_profile(profile_name)
    config = _config(options.config, options.node or next(iter(profile.nodes)))
    at_us = min(_BEGIN_US, profile.duration_us // 2) if options.at_us is None else options.at_us
    if at_us >= profile.duration_us:
        raise UserError(
            f"--at: {at_us / 1e6:g} s; expected less than the profile's {profile.duration_s:g} s"
        )
    clock = HeadStart(at_us)
    with EmulatedNode(profile, config.node, clock) as emulated:
        run_up_us = min(at_us, _RUN_UP_US)
        # Skipped without sampling; only the minute before the first frame is sampled.
        clock.sleep_until(clock.monotonic_us() + at_us - run_up_us, threading.Event())
        boards, _ = open_boards()
        host = Host(
            config.node,
            clock,
            SilentLog(),
            boards=boards,
            emulated=True,
            inline=True,
            declared=emulated.allocations,
            spread=[job.id for job in profile.jobs if len(job.devices) > 1],
            cluster=config.cluster,
        )
        try:
            watch = LocalWatch(_often(emulated_config(config, emulated)), host)
            watch.run(threading.Event(), run_up_us)
            with _running(watch) as look:
                yield look
        finally:
            close_boards()


@contextmanager
def _running(watch: LocalWatch) -> Iterator[Look]:
    """Sample in a thread; the look raises the error that ended it, if any."""
    stop = threading.Event()
    ended: list[str] = []

    def run() -> None:
        try:
            watch.run(stop)
        except Exception as error:  # noqa: BLE001 - raised again in `look`, below
            ended.append(repr(error))

    def look() -> Frame:
        if ended:
            raise UserError(f"sampling ended with an error: {ended[0]}")
        return frame_of(ViewCollector(watch.view).collect())

    thread = threading.Thread(target=run, name="sampling", daemon=True)
    thread.start()
    try:
        yield look
    finally:
        stop.set()
        thread.join()
        watch.close()
