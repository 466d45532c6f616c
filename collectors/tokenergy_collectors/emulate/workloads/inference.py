"""An inference server with continuous batching, driven by a request log.

In: requests (arrival, prompt tokens, tokens to generate) and the costs of a step. Out: the boards'
load step by step and the server's cumulative counters, exact at any instant.

One iteration ("step") gives each decoding sequence one token and spends what is left of the token
budget on waiting prompts (chunked prefill). It lasts a + b * batch + c * prefill tokens. As in
vLLM, a prompt is counted when its prefill is done, which also yields the first token. Because every
sequence gains one token a step, the step at which it finishes is known when it starts to decode: a
step costs the same however large the batch.

Not modelled: preemption for lack of KV cache, speculative decoding, aborted requests.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.emulate.workloads.base import Workload
from tokenergy_collectors.emulate.workloads.request_log import Request, RequestLog
from tokenergy_collectors.emulate.workloads.timeline import Load

_BLOCK_TOKENS = 16
"""Prefix caches reuse whole blocks only (vLLM's default block size)."""

_DECODE_W = ((1.0, 395.0), (8.0, 486.0), (128.0, 669.0), (512.0, 688.0))
"""Batch and watts of an H100: ML.ENERGY v3, Llama-3.1-8B; the first is extrapolated."""

_STARTING = (0.0, 3.0)
_IDLE = (0.0, 0.0)


class InferenceSpec(Strict):
    """A server's traffic, its step costs and its power levels (per board).

    Step time in microseconds: `step_us + per_sequence_us * batch + per_prompt_token_us * prefill`.
    `decode_w` lists [batch, watts], interpolated over the logarithm of the batch.

    With `prompt_token_j` and `generated_token_j` a step draws that energy for each of its tokens
    above `idle_w` instead, on each board: prefill and decode then have a known cost.
    """

    type: Literal["inference"]
    model: str = Field(min_length=1)
    log: str = Field(min_length=1)
    rate: float = Field(1.0, gt=0, le=1000)
    load_s: float = Field(20.0, ge=0)
    max_num_seqs: int = Field(256, ge=1, le=65536)
    max_batched_tokens: int = Field(2048, ge=1)
    cached_fraction: float = Field(0.0, ge=0, lt=1)
    step_us: float = Field(ge=100)
    per_sequence_us: float = Field(ge=0)
    per_prompt_token_us: float = Field(ge=0)
    load_w: float = Field(105.0, gt=0)
    idle_w: float = Field(120.0, gt=0)
    prefill_w: float = Field(690.0, gt=0)
    decode_w: list[list[float]] = Field(default_factory=lambda: [list(p) for p in _DECODE_W])
    prompt_token_j: float | None = Field(None, ge=0)
    generated_token_j: float | None = Field(None, ge=0)
    memory_gib: float = Field(72.0, gt=0)
    port: int = Field(0, ge=0, le=65535)

    @model_validator(mode="after")
    def _both_or_neither(self) -> InferenceSpec:
        if (self.prompt_token_j is None) != (self.generated_token_j is None):
            raise ValueError("prompt_token_j and generated_token_j: expected both or neither")
        return self

    @field_validator("decode_w")
    @classmethod
    def _rising_pairs(cls, pairs: list[list[float]]) -> list[list[float]]:
        batches = [pair[0] for pair in pairs if len(pair) == 2]
        rising = all(a < b for a, b in zip([0.0, *batches], batches, strict=False))
        if not pairs or len(batches) != len(pairs) or not rising:
            raise ValueError(f"{pairs}: expected [[batch, watts], ...] with rising batch")
        return pairs


class Inference(Workload):
    """The server: load the model, then step from request to request until the job ends."""

    counters: ClassVar[tuple[str, ...]] = ("prompt", "prompt_cached", "generated")
    gauges: ClassVar[tuple[str, ...]] = ("running", "waiting")

    def __init__(
        self,
        spec: InferenceSpec,
        log: RequestLog,
        seed: int,
        name: str,
        start_us: int,
        end_us: int,
    ) -> None:
        super().__init__(seed, name, start_us, end_us)
        self._spec = spec
        self._used_bytes = int(spec.memory_gib * 2**30)
        self._decode_mw = _decode_table(spec)
        self._arrivals: Iterator[Request] = log.stream(spec.rate)
        self._next = next(self._arrivals)
        self._waiting: deque[Request] = deque()
        self._head_left = 0  # prompt tokens of the first waiting request still to compute
        self._finishes: list[int] = []  # heap: the step after which each sequence is done
        self._step = 0
        self._prompt = self._cached = self._generated = 0

    @property
    def ready_us(self) -> int:
        """When the model is loaded: the first request may arrive and the endpoint answers."""
        return self.start_us + round(self._spec.load_s * 1e6)

    def _extend(self) -> None:
        now_us = self._timeline.end_us
        if now_us < self.ready_us:
            load = Load(self._spec.load_w * 1e3, *_STARTING)
            self._timeline.append(min(self.ready_us, self.end_us), load)
            return
        self._admit(now_us - self.ready_us)
        if self._waiting or self._finishes:
            self._iterate(now_us)
        else:
            arrival_us = self.ready_us + self._next.arrival_us
            load = Load(self._spec.idle_w * 1e3, *_IDLE)
            self._timeline.append(min(arrival_us, self.end_us), load)

    def _admit(self, served_us: int) -> None:
        while self._next.arrival_us <= served_us:
            self._waiting.append(self._next)
            if len(self._waiting) == 1:
                self._head_left = self._to_compute(self._next)
            self._next = next(self._arrivals)

    def _to_compute(self, request: Request) -> int:
        return request.context - self._cached_tokens(request)

    def _cached_tokens(self, request: Request) -> int:
        """Prompt tokens found in the prefix cache: whole blocks, never the whole prompt."""
        hit = min(int(request.context * self._spec.cached_fraction), request.context - 1)
        return hit - hit % _BLOCK_TOKENS

    def _iterate(self, now_us: int) -> None:
        """Run one step; one that the job's end cuts short counts no tokens."""
        spec = self._spec
        batch = len(self._finishes)
        done, prefill = self._prefill(batch)
        decode_us = spec.step_us + spec.per_sequence_us * batch
        prefill_us = spec.per_prompt_token_us * prefill
        end_us = now_us + round(decode_us + prefill_us)
        planted_j = self._planted_j(prefill, batch + len(done))
        if planted_j is None:
            load = self._load(batch, decode_us if batch else 0.0, prefill_us)
        else:
            power_mw = spec.idle_w * 1e3 + planted_j * 1e9 / (decode_us + prefill_us)
            load = Load(power_mw, 100.0, 78.0)
        if end_us > self.end_us:
            self._timeline.append(self.end_us, load)
            return
        self._step += 1
        self._finish(batch, done)
        # A request whose prefill has begun is running, not waiting, as in vLLM.
        partial = bool(self._waiting) and self._head_left < self._to_compute(self._waiting[0])
        totals = (self._prompt, self._cached, self._generated)
        gauges = (len(self._finishes) + partial, len(self._waiting) - partial)
        self._timeline.append(end_us, load, totals + gauges)

    def _prefill(self, batch: int) -> tuple[list[Request], int]:
        """Spend the step's budget on waiting prompts; return those done and the tokens spent."""
        budget = self._spec.max_batched_tokens - batch
        seats = self._spec.max_num_seqs - batch
        done: list[Request] = []
        spent = 0
        while self._waiting and budget > spent and len(done) < seats:
            part = min(self._head_left, budget - spent)
            spent += part
            self._head_left -= part
            if self._head_left:
                break
            done.append(self._waiting.popleft())
            if self._waiting:
                self._head_left = self._to_compute(self._waiting[0])
        return done, spent

    def _finish(self, batch: int, done: list[Request]) -> None:
        """Count the tokens of a completed step and remove finished sequences."""
        self._generated += batch + len(done)
        while self._finishes and self._finishes[0] == self._step:
            heapq.heappop(self._finishes)
        for request in done:
            self._prompt += request.context
            self._cached += self._cached_tokens(request)
            # The prefill yields the first token, so the last one comes `generated - 1` steps later.
            if request.generated > 1:
                heapq.heappush(self._finishes, self._step + request.generated - 1)

    def _planted_j(self, prompt: int, generated: int) -> float | None:
        """Return what the tokens of a step cost above idle power, J; None if none was given."""
        spec = self._spec
        if spec.prompt_token_j is None or spec.generated_token_j is None:
            return None
        return spec.prompt_token_j * prompt + spec.generated_token_j * generated

    def _load(self, batch: int, decode_us: float, prefill_us: float) -> Load:
        """Mix decode and prefill power by the time each takes in the step."""
        share = prefill_us / (decode_us + prefill_us) if prefill_us else 0.0
        decode_mw = self._decode_mw[batch]
        power_mw = decode_mw + share * (self._spec.prefill_w * 1e3 - decode_mw)
        return Load(power_mw, 100.0, 78.0 - 44.0 * share)


def _decode_table(spec: InferenceSpec) -> list[float]:
    """Return decode power in mW for each batch size from 0 to the largest."""
    sizes = np.log(np.arange(1, spec.max_num_seqs + 1))
    batches = [math.log(batch) for batch, _ in spec.decode_w]
    watts = [power_w for _, power_w in spec.decode_w]
    table = (np.interp(sizes, batches, watts) * 1e3).tolist()
    return [table[0], *table]
