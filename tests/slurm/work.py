"""What the jobs of the test run: a training loop that crashes once, or a server of tokens.

Run by Slurm as a program of its own, with the standard library alone. Each serves its counters over
HTTP, and ends only after its last count was read: so what was counted can be known exactly.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TOKENS_PER_STEP = 1_000
STEP_S = 0.1
CHECKPOINT_EVERY = 10
CRASH_AT = 35
STEPS = 80
REQUESTS = 60
PROMPT, CACHED, GENERATED = 70, 30, 200


class Page:
    """Counters behind a port; `read` waits until somebody has read what they show now."""

    def __init__(self, port: int) -> None:
        self.counters: dict[str, int] = {}
        self._served: dict[str, int] = {}
        self._changed = threading.Condition()
        started_s = time.time()
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with page._changed:
                    shown = dict(page.counters)
                lines = [f"process_start_time_seconds {started_s}"]
                for name, value in shown.items():
                    kind = name.partition("{")[0]
                    lines += [f"# TYPE {kind} counter", f"{name} {value}"]
                body = ("\n".join(lines) + "\n").encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                with page._changed:
                    page._served = shown
                    page._changed.notify_all()

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def add(self, name: str, count: int) -> None:
        with self._changed:
            self.counters[name] = self.counters.get(name, 0) + count

    def read(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._served == self.counters)


def train(port: int, state: Path) -> None:
    """Train from the last checkpoint; crash at a step, the first time."""
    page = Page(port)
    found = json.loads(state.read_text()) if state.exists() else {"step": 0, "trained": 0}
    first, trained = not state.exists(), found["trained"]
    page.add('tokenergy_trained_tokens_total{model_name="m-1b"}', 0)
    for step in range(found["step"], STEPS):
        time.sleep(STEP_S)
        page.add('tokenergy_trained_tokens_total{model_name="m-1b"}', TOKENS_PER_STEP)
        trained += TOKENS_PER_STEP
        if (step + 1) % CHECKPOINT_EVERY == 0:
            found = {"step": step + 1, "trained": trained}
        if first and step + 1 == CRASH_AT:
            page.read()
            # What was trained since the checkpoint is trained again, and was trained twice.
            state.write_text(json.dumps({**found, "trained": trained}))
            os._exit(1)
    page.read()
    state.write_text(json.dumps({"step": STEPS, "trained": trained}))


def serve(port: int, state: Path) -> None:
    """Answer requests, as vLLM counts them: prompt tokens include cached ones."""
    page = Page(port)
    labels = '{model_name="m-8b",engine="0"}'
    counts = {
        "vllm:prompt_tokens_total": PROMPT + CACHED,
        "vllm:prompt_tokens_cached_total": CACHED,
        "vllm:generation_tokens_total": GENERATED,
    }
    for name in counts:
        page.add(name + labels, 0)
    for _ in range(REQUESTS):
        time.sleep(STEP_S)
        for name, count in counts.items():
            page.add(name + labels, count)
    page.read()
    state.write_text(json.dumps({name: REQUESTS * count for name, count in counts.items()}))


if __name__ == "__main__":
    {"train": train, "serve": serve}[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))
