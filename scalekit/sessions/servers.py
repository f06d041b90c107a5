"""The Redis or Valkey of the sessions: clients for threads and for event loops, made when first needed."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.core.signals import setting_changed

from scalekit.core.breaker import Breaker
from scalekit.core.exceptions import SettingInvalid
from scalekit.sessions.conf import settings
from scalekit.sessions.events import SESSION_STORE_FAILED
from scalekit.sessions.exceptions import SessionStoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from scalekit.sessions.steps import Steps

SLOW = (
    0.1  # seconds; a server that took longer may have stood still, and the world may have moved on
)


class Server:
    """One address. `identity` names the process that answers there; it changes with a restart or a failover.

    `generation` counts what makes it doubtful whether this process has heard of everything: new
    connections, failures, answers that took long.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.identity = ""
        self.generation = 0
        self.breaker = Breaker(lambda: settings.BREAKER_SECONDS)
        self._client: Any = None
        self._idle: deque[Any] = deque()
        self._loops: dict[asyncio.AbstractEventLoop, tuple[Any, Any]] = {}

    @property
    def client(self) -> Any:
        """The client for threads, with all that redis-py can do."""
        if self._client is None:
            import redis
            from redis.retry import Retry

            self._client = redis.Redis.from_url(
                self.url, **_options(Retry), redis_connect_func=self._introduce
            )
        return self._client

    def ask(self, *command: Any) -> Any:
        """Return the raw answer to a command, sent once more where the server had closed an idle connection.

        Straight to a connection: the client's pool and wrappers take as long as the network does on one machine.
        """
        from redis.exceptions import ConnectionError as Disconnected
        from redis.exceptions import ResponseError

        try:  # of two threads, each gets its own: a deque's ends are safe
            connection = self._idle.pop()
        except IndexError:
            connection = self.client.connection_pool.make_connection()
        try:
            try:
                connection.send_command(*command)
                return connection.read_response()
            except Disconnected:  # it has dropped its socket, and connects again
                connection.send_command(*command)
                return connection.read_response()
        except ResponseError:
            raise
        except BaseException:
            # A worker's time limit may strike between the lines: the next request shall not get this one's answer.
            connection.disconnect()
            raise
        finally:
            self._idle.append(connection)

    def close(self) -> None:
        """Close the connections of threads; those of an event loop go with it."""
        while self._idle:
            self._idle.pop().disconnect()
        if self._client is not None:
            self._client.close()

    async def aclient(self) -> Any:
        """Return the client of the running event loop; it is closed with the loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._loops:
            import redis.asyncio
            from redis.asyncio.retry import Retry

            client = redis.asyncio.Redis.from_url(
                self.url, **_options(Retry), redis_connect_func=self._aintroduce
            )
            closing = self._closed_with(loop, client)
            self._loops[loop] = client, closing
            await anext(closing)
        return self._loops[loop][0]

    async def _closed_with(
        self, loop: asyncio.AbstractEventLoop, client: Any
    ) -> AsyncGenerator[None]:
        """Wait for the loop to end: it closes the async generators that are still open then."""
        try:
            yield
        finally:
            self._loops.pop(loop, None)
            await client.aclose()

    def _introduce(self, connection: Any) -> None:
        from redis.exceptions import ResponseError

        connection.on_connect()
        connection.send_command("INFO", "server")
        try:
            self._meet(connection.read_response())
        except ResponseError:  # where INFO is not allowed
            self._meet(b"")

    async def _aintroduce(self, connection: Any) -> None:
        from redis.exceptions import ResponseError

        await connection.on_connect()
        await connection.send_command("INFO", "server")
        try:
            self._meet(await connection.read_response())
        except ResponseError:
            self._meet(b"")

    def _meet(self, info: Any) -> None:
        text = info if isinstance(info, bytes) else str(info).encode()
        lines = dict(line.partition(b":")[::2] for line in text.split(b"\r\n"))
        self.identity = lines.get(b"run_id", b"").decode()
        self.generation += 1


class Asking:
    """A block in which the server is asked; whatever keeps it from answering is `SessionStoreUnavailable`."""

    __slots__ = ("_operation", "_server", "_started")

    def __init__(self, server: Server, operation: str) -> None:
        self._server, self._operation = server, operation

    def __enter__(self) -> None:
        if not self._server.breaker.allows():
            raise SessionStoreUnavailable
        self._started = monotonic()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception):
            self._judge(error)
            return
        if error is not None:  # the visitor went away, which says nothing of the server
            return
        self._server.breaker.succeeded()
        if monotonic() - self._started > SLOW:
            self._server.generation += 1

    def _judge(self, error: Exception) -> None:
        from redis.exceptions import NoScriptError, RedisError
        from redis.exceptions import TimeoutError as TooSlow

        if isinstance(error, NoScriptError) or not isinstance(error, (RedisError, OSError)):
            self._server.breaker.succeeded()
            return
        self._server.generation += 1
        if isinstance(error, TooSlow):
            self._server.breaker.failed()
        else:  # a refusal costs no time, so nothing is gained by not asking again
            self._server.breaker.succeeded()
        SESSION_STORE_FAILED.emit(operation=self._operation, error=repr(error))
        raise SessionStoreUnavailable from error


class Command:
    """A step: one command, one round trip."""

    __slots__ = ("_args", "_operation")

    def __init__(self, operation: str, *args: Any) -> None:
        self._operation, self._args = operation, args

    def run(self) -> Any:
        server = current_server()
        with Asking(server, self._operation):
            return server.ask(*self._args)

    async def arun(self) -> Any:
        server = current_server()
        with Asking(server, self._operation):
            client = await server.aclient()
            return await client.execute_command(*self._args)


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script, sent by its digest; in full only to a server that has not seen it."""

    text: str
    sha: str

    @classmethod
    def beside(cls, module: str, name: str) -> Script:
        """Read ``name.lua`` from the folder of the module that runs it."""
        text = Path(module).with_name(f"{name}.lua").read_text()
        return cls(text, sha1(text.encode(), usedforsecurity=False).hexdigest())

    def __call__(self, operation: str, keys: Sequence[str], *args: Any) -> Steps[Any]:
        from redis.exceptions import NoScriptError

        try:
            return (yield Command(operation, "EVALSHA", self.sha, len(keys), *keys, *args))
        except NoScriptError:
            return (yield Command(operation, "EVAL", self.text, len(keys), *keys, *args))


def current_server() -> Server:
    """Return the server that the settings name. Raises `SettingInvalid` if they name none."""
    url = settings.REDIS_URL
    if not url:
        raise SettingInvalid(
            "SCALEKIT_SESSIONS_REDIS_URL is not set, and SESSION_ENGINE keeps sessions there."
            ' Write for example SCALEKIT_SESSIONS_REDIS_URL = "redis://sessions.internal:6379/0".'
        )
    return _servers.get(url) or _servers.setdefault(url, Server(url))


def _options(retry: Any) -> dict[str, Any]:
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as Disconnected

    # One more try where the server closed an idle connection; a time-out is not worth waiting twice.
    once_more = retry(NoBackoff(), 1, supported_errors=(Disconnected,))
    wait = settings.TIMEOUT
    return {
        "socket_timeout": wait,
        "socket_connect_timeout": wait,
        "retry": once_more,
        # One for each request that runs at once: redis-py would refuse the hundred and first.
        "max_connections": 2**31,
    }


_servers: dict[str, Server] = {}


def _forget(*, setting: str, **_: Any) -> None:
    if setting in ("SCALEKIT_SESSIONS_REDIS_URL", "SCALEKIT_SESSIONS_TIMEOUT"):
        while _servers:
            _servers.popitem()[1].close()


setting_changed.connect(_forget, dispatch_uid="scalekit.sessions.servers")
os.register_at_fork(after_in_child=_servers.clear)  # a lock may have been held when it forked
