"""Requests of every kind to a vLLM server: what its answers told, and what its page must count.

In: the server's address. Out: for each kind of request a `Line`: the `usage` of all answers, and
what the server worked on as far as a client can know it. Nothing is read from the page here.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.vllm.server import BLOCK

LONGEST = 900
HEADERS = {"Content-Type": "application/json"}


@dataclass
class Line:
    """What one kind of request told, and why the page counts something else.

    Attributes:
        name: of the kind.
        why: the difference between page and `usage`, in words; empty if there is none.
        usage: sums of what the answers told: prompt, cached, generated.
        more: what the page counts beyond it: prompts, and generated, as (at least, at most).
    """

    name: str
    why: str = ""
    usage: Counter[str] = field(default_factory=Counter)
    more_prompts: tuple[int, int] = (0, 0)
    more_generated: tuple[int, int] = (0, 0)

    def add(self, usage: dict[str, Any]) -> None:
        """Add the `usage` of an answer."""
        details = usage.get("prompt_tokens_details") or {}
        self.usage["prompts"] += usage["prompt_tokens"]
        self.usage["cached"] += details.get("cached_tokens") or 0
        self.usage["generated"] += usage["completion_tokens"]


class Client:
    """Sends requests to a server."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._random = Random(5)
        self._lock = threading.Lock()

    def words(self, count: int) -> list[int]:
        """Return a prompt that no other request has."""
        with self._lock:
            return [self._random.randrange(2, 258) for _ in range(count)]

    def post(self, body: dict[str, Any], rank: int | None = None, path: str = "") -> Any:
        """Return the answer to a request, and its HTTP status."""
        headers = HEADERS if rank is None else HEADERS | {"X-data-parallel-rank": str(rank)}
        link = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        link.request("POST", path or "/v1/completions", json.dumps(body), headers)
        answer = link.getresponse()
        found = json.loads(answer.read())
        link.close()
        return answer.status, found

    def complete(self, line: Line, prompt: Any, answer: int, rank: int | None = None, **more: Any):
        """Send a prompt, note its `usage`, return the answer."""
        status, found = self.post(completion(prompt, answer, **more), rank)
        assert status == 200, found
        with self._lock:
            line.add(found["usage"])
        return found

    def stream(self, prompt: list[int], answer: int, **more: Any) -> Iterator[dict[str, Any]]:
        """Yield the events of a streamed answer; hang up where the reader stops."""
        link = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        body = completion(prompt, answer, stream=True, return_token_ids=True, **more)
        link.request("POST", "/v1/completions", json.dumps(body), HEADERS)
        opened = link.sock
        answered = link.getresponse()
        try:
            for raw in answered:
                if raw.startswith(b"data: ") and raw.strip() != b"data: [DONE]":
                    yield json.loads(raw[6:])
        finally:
            opened.shutdown(socket.SHUT_RDWR)
            answered.close()
            link.close()


def completion(prompt: Any, answer: int, **more: Any) -> dict[str, Any]:
    """Return the body of a request that gets just as many tokens as it asks for."""
    fixed = {"model": "tiny", "temperature": 0, "ignore_eos": True}
    return fixed | {"prompt": prompt, "max_tokens": answer} | more


def received(event: dict[str, Any]) -> int:
    """Return the tokens of an event of a streamed answer."""
    return sum(len(choice.get("token_ids") or []) for choice in event["choices"])


def plain(client: Client) -> Line:
    line = Line("plain")
    for count in (10, 77, 300):
        client.complete(line, client.words(count), 16)
    return line


def shared(client: Client) -> Line:
    """Prompts that begin alike, three to each rank: from the second on, two blocks are cached."""
    line = Line("shared prefixes")
    first = client.words(2 * BLOCK + 44)
    for rank in (0, 1, 0, 1, 0, 1):
        client.complete(line, first + client.words(9), 8, rank)
    assert line.usage["cached"] == 4 * 2 * BLOCK, line
    return line


def streamed(client: Client) -> Line:
    line = Line("streams with usage")
    for count in (12, 99):
        *_, last = client.stream(
            client.words(count), 40, stream_options={"include_usage": True}
        )  # fmt: skip
        line.add(last["usage"])
    return line


def two_answers(client: Client) -> Line:
    """With n = 2 the server runs the prompt for each answer; `usage` names it once."""
    line = Line("n = 2", "the prompt runs for each answer, usage names it once")
    for count in (50, 60):
        client.complete(line, client.words(count), 20, n=2, temperature=1.0)
    line.more_prompts = (110, 110)
    return line


def batch(client: Client) -> Line:
    line = Line("three prompts in one")
    client.complete(line, [client.words(count) for count in (20, 30, 40)], 10)
    return line


def chat(client: Client) -> Line:
    line = Line("chat")
    body = {"messages": [{"role": "user", "content": "joules per token"}], "max_tokens": 24}
    status, found = client.post(
        completion("", 24) | body | {"prompt": None}, path="/v1/chat/completions"
    )
    assert status == 200, found
    line.add(found["usage"])
    return line


def stopped(client: Client) -> Line:
    """An answer that ends at a text of its own."""
    line = Line("stop at a text")
    prompt = client.words(21)
    text = client.complete(line, prompt, 30)["choices"][0]["text"]
    client.complete(line, prompt, 30, stop=[text[6:9]])
    return line


def refused(client: Client) -> Line:
    line = Line("refused")
    status, found = client.post(completion([10_000], 5))
    assert status == 400, found
    return line


def at_once(client: Client) -> Line:
    line = Line("24 at once")
    each = [(20 + 7 * number, 50) for number in range(24)]
    in_threads(lambda number: client.complete(line, client.words(each[number][0]), 50), 24)
    return line


def aborted(client: Client) -> Line:
    """Clients that hang up in the middle: what was made until then has no `usage`."""
    line = Line("hung up midway", "no usage; the page has the prompt and what was made")
    seen = 0
    for count in (64, 200):
        for number, event in enumerate(client.stream(client.words(count), LONGEST)):
            seen += received(event)
            if number == 30:
                break
    line.more_prompts = (264, 264)
    line.more_generated = (seen, 2 * LONGEST)
    return line


def aborted_at_once(client: Client) -> Line:
    """Clients that hang up before they have an answer."""
    line = Line("hung up at once", "no usage; the page has those that ran before the end was seen")

    def one(_: int) -> None:
        link = http.client.HTTPConnection("127.0.0.1", client._port, timeout=60)
        body = completion(client.words(700), 200, stream=True)
        link.request("POST", "/v1/completions", json.dumps(body), HEADERS)
        link.close()

    in_threads(one, 8)
    line.more_prompts, line.more_generated = (0, 8 * 700), (0, 8 * 200)
    return line


def in_threads(work: Callable[[int], Any], count: int) -> None:
    """Do some work in several threads at once."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


EVERY = [
    plain, shared, streamed, two_answers, batch, chat, stopped, refused, at_once, aborted,
    aborted_at_once,
]  # fmt: skip
AGAIN = [plain, shared, two_answers, at_once, aborted]


class Load:
    """Streams without end in some threads, until the server is gone.

    Attributes:
        prompts: tokens of the prompts of which an answer has begun.
        generated: tokens that clients have got.
        sent: tokens of all prompts that were sent.
    """

    def __init__(self, client: Client, threads: int = 6) -> None:
        self.prompts = self.generated = self.sent = 0
        self.running = threading.Semaphore(0)
        self._client = client
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._stream) for _ in range(threads)]
        for one in self._threads:
            one.start()

    def join(self) -> None:
        """Wait until each has noticed that the server is gone."""
        for one in self._threads:
            one.join(120)
            assert not one.is_alive()

    def _stream(self) -> None:
        try:
            while True:
                prompt = self._client.words(100)
                with self._lock:
                    self.sent += len(prompt)
                for number, event in enumerate(self._client.stream(prompt, LONGEST)):
                    with self._lock:
                        self.prompts += len(prompt) if number == 0 else 0
                        self.generated += received(event)
                    self.running.release()
        except (OSError, http.client.HTTPException, ValueError):
            # The server was killed: an answer ends in the middle of a line, or none begins.
            return
