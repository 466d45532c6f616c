"""One site at one OpenADR server: registers, polls, answers. Nothing listens and no thread is left.

In: a server's address. Out: events, to a callback, with what they were answered.

`openleadr` runs for ever on a loop and a scheduler of its own. Here each round has a loop of its
own that ends with it, so the collector's schedule decides when to poll, and a stop waits for
nothing. After a round that failed the site registers again and asks for all events: a server that
was restarted may have forgotten both. It also asks for all of them every tenth round.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.sources.openadr.rows import Event
from tokenergy_collectors.sources.openadr.settings import Vtn

if TYPE_CHECKING:
    from openleadr import OpenADRClient

MOST_S = 60.0
"""How long a round may take."""
_ALL_EVERY = 10
_MOST_MESSAGES = 20
_FIRST_ERROR = 400
"""OpenADR numbers its errors from here on."""

Taken = Callable[[Event, str], None]
"""Takes an event and its answer, `optIn` or `optOut`."""


class NoAnswerError(Exception):
    """A round failed; the message says why."""


class _LastError(logging.Handler):
    """Keeps the last line that `openleadr` logs: it returns nothing where a request fails."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        if record.thread == self._thread:  # another server may be polled meanwhile
            self.text = " ".join(record.getMessage().split())


class Ven:
    """A site as one server knows it.

    Args:
        vtn: the server.
        taken: is called with each event that the server sends, also with those that it sent before.
    """

    def __init__(self, vtn: Vtn, taken: Taken) -> None:
        self._vtn = vtn
        self._taken = taken
        self._client: OpenADRClient | None = None
        self._rounds = 0
        self._lock = threading.Lock()
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[None]] | None = None
        self._closed = False

    def poll(self) -> None:
        """Ask the server once for what it has.

        Raises:
            NoAnswerError: it does not answer, or refuses.
        """
        self._run(self._exchange)

    def query(self) -> None:
        """Ask the server who it is: no registration, no event, no answer.

        Raises:
            NoAnswerError: it does not answer, or refuses.
        """
        self._run(self._look)

    def _run(self, talk: Callable[[_LastError], Awaitable[None]]) -> None:
        if self._closed:
            return
        logger = logging.getLogger("openleadr")
        logger.propagate = False  # the collector writes its own line
        last = _LastError()
        logger.addHandler(last)
        try:
            asyncio.run(self._round(talk, last))
        except asyncio.CancelledError:
            return  # the collector stops
        except NoAnswerError:
            self._client = None
            raise
        except Exception as error:  # whatever a server sends must not end the collector
            self._client = None
            raise NoAnswerError(last.text or f"{type(error).__name__}: {error}") from error
        finally:
            logger.removeHandler(last)

    def close(self) -> None:
        """End a round that is under way, from any thread; later ones do nothing."""
        with self._lock:
            self._closed = True
            if self._running is not None:
                loop, task = self._running
                with suppress(RuntimeError):  # the loop has ended meanwhile
                    loop.call_soon_threadsafe(task.cancel)

    async def _round(self, talk: Callable[[_LastError], Awaitable[None]], last: _LastError) -> None:
        task = asyncio.current_task()
        if task is None:
            raise AssertionError("a round runs outside a task")
        with self._lock:
            if self._closed:
                return
            self._running = (asyncio.get_running_loop(), task)
        try:
            async with asyncio.timeout(MOST_S):
                await talk(last)
        except TimeoutError:
            raise NoAnswerError(f"no answer within {MOST_S:g} s") from None
        finally:
            with self._lock:
                self._running = None
            session = None if self._client is None else self._client.client_session
            if session is not None and self._client is not None:
                self._client.client_session = None  # it belongs to this loop
                await session.close()

    async def _look(self, last: _LastError) -> None:
        client = self._client = self._make_client()
        kind, _ = await client.query_registration() or (None, {})
        if kind is None:
            raise NoAnswerError(last.text or "an empty answer")

    async def _exchange(self, last: _LastError) -> None:
        client = self._client
        is_new = client is None
        if client is None:
            client = self._client = self._make_client()
            await client.create_party_registration(ven_id=self._vtn.ven_id)
            if not client.registration_id:
                raise NoAnswerError(last.text or "the registration was refused")
        if is_new or self._rounds % _ALL_EVERY == 0:
            await self._take(await client.request_event(), client, last)
        self._rounds += 1
        for _ in range(_MOST_MESSAGES):
            if not await self._take(await client.poll(), client, last):
                return

    async def _take(
        self,
        answer: tuple[str | None, dict[str, Any]] | None,
        client: OpenADRClient,
        last: _LastError,
    ) -> bool:
        """Handle one message; return whether there may be another one."""
        kind, message = answer or (None, {})
        if kind is None:
            raise NoAnswerError(last.text or "an empty answer")
        code = message.get("response", {}).get("response_code", 200)
        if int(code) >= _FIRST_ERROR:
            words = message["response"].get("response_description")
            raise NoAnswerError(f"answers {code} {words}")
        if kind == "oadrDistributeEvent":
            if message.get("events"):
                await client._on_event(message)
            return bool(message.get("events"))
        if kind in ("oadrRequestReregistration", "oadrCancelPartyRegistration"):
            await client.send_response(service="EiRegisterParty")
            raise NoAnswerError("asks for a new registration, which follows")
        return False

    def _make_client(self) -> OpenADRClient:
        from openleadr import OpenADRClient

        vtn = self._vtn
        client = OpenADRClient(
            ven_name=vtn.ven_name,
            vtn_url=vtn.url,
            ven_id=vtn.ven_id,
            cert=None if vtn.cert is None else str(vtn.cert),
            key=None if vtn.key is None else str(vtn.key),
            ca_file=None if vtn.ca_file is None else str(vtn.ca_file),
            vtn_fingerprint=vtn.vtn_fingerprint,
            show_fingerprint=False,
        )
        client.add_handler("on_event", self._answer)
        client.add_handler("on_update_event", self._answer)
        return client

    async def _answer(self, event: Event) -> str:
        opt = "optIn" if self._vtn.opt == "in" else "optOut"
        self._taken(event, opt)
        return opt
