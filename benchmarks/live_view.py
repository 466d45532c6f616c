"""Cost of the live view: a sweep over all boards with it and without it, in one run.

`python -m benchmarks.live_view [--boards N] [--sweeps N] [--runs N]`. Boards answer at once, so
that nothing is timed but the collector's own work on a reading: stamps, thinning, rows, the view. A
sweep is one reading of every board; every twentieth reads the counter, as at 20 Hz. Runs with and
without alternate; printed is the CPU time of the best run of each, and of a scrape.
"""

from __future__ import annotations

import argparse
import gc
import time

from prometheus_client import CollectorRegistry, generate_latest

from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.live.exposition import ViewCollector
from tokenergy_collectors.live.view import LiveView
from tokenergy_collectors.sampler.sampler import Sampler
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.sources.host import Output
from tokenergy_collectors.sources.nvml.boards import Board

TICK_US = 50_000
COUNTER_EVERY = 20


class Ready(Board):
    """A board whose answers are there already, and change with every reading."""

    def read(self, *, energy: bool) -> tuple[int | None, int | None]:
        """Return the next power and counter."""
        self.update_us = (self.update_us or 0) + 1
        return 300_000 + self.update_us % 1000, self.update_us * 15_000 if energy else None


def boards(count: int) -> list[Board]:
    """Return boards that answer at once."""
    name = "NVIDIA H100 80GB HBM3"
    return [Ready(None, f"GPU-{i}", i, name, None, 700_000, "580") for i in range(count)]


def sweeps(count: int, number: int, *, shown: bool) -> tuple[float, LiveView]:
    """Return nanoseconds a reading, and the view that was fed or not."""
    clock, found = VirtualClock(1_768_464_000_000_000), boards(count)
    offset_us = clock.realtime_us() - clock.monotonic_us()
    view = LiveView(clock)
    view.begin(Config(lake="x", node="n1"), found, offset_us, late=lambda: 0)
    output = Output()
    if shown:
        output.listen(view)
    sampler = Sampler(found, clock, offset_us, output, lambda *_: None)
    gc.collect()
    start_ns = time.thread_time_ns()
    for sweep in range(number):
        clock._now_us += TICK_US
        sampler.sample(energy=sweep % COUNTER_EVERY == 0)
    return (time.thread_time_ns() - start_ns) / (count * number), view


def main() -> None:
    """Time both and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boards", type=int, default=8, help="boards (8)")
    parser.add_argument(
        "--sweeps", type=int, default=5_000, help="readings of every board per run (5000)"
    )
    parser.add_argument("--runs", type=int, default=9, help="runs (9)")
    options = parser.parse_args()
    bare, fed, scrapes = [], [], []
    for _ in range(options.runs):
        bare.append(sweeps(options.boards, options.sweeps, shown=False)[0])
        each, view = sweeps(options.boards, options.sweeps, shown=True)
        fed.append(each)
        registry = CollectorRegistry()
        registry.register(ViewCollector(view))
        start_ns = time.thread_time_ns()
        size = len(generate_latest(registry))
        scrapes.append((time.thread_time_ns() - start_ns) / 1e6)
    without, with_view = min(bare), min(fed)
    print(f"{options.boards} boards, {options.sweeps} sweeps, best of {options.runs} runs")
    print(f"without the view  {without:7.0f} ns per reading")
    print(f"with the view     {with_view:7.0f} ns per reading  (+{with_view - without:.0f} ns)")
    print(f"one scrape        {min(scrapes):7.2f} ms, {size} bytes")


if __name__ == "__main__":
    main()
