"""The connection to the Redis or Valkey that keeps the sessions: made when first needed, one a process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from django.core.signals import setting_changed

from scalekit.core.exceptions import SettingInvalid
from scalekit.sessions.conf import settings
from scalekit.sessions.events import SESSION_STORE_FAILED
from scalekit.sessions.exceptions import SessionStoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis
    from redis.commands.core import Script

T = TypeVar("T")

SAVE = Path(__file__).with_name("save.lua").read_text()


class Server:
    """A client and the script that saves. A fork is safe: the client's pool notices it."""

    def __init__(self, url: str) -> None:
        self.client = _connect(url)
        self.save: Script = self.client.register_script(SAVE)


def ask(operation: str, question: Callable[[Server], T]) -> T:
    """Return the server's answer. Raises `SessionStoreUnavailable`."""
    from redis.exceptions import RedisError

    server = _server()
    try:
        return question(server)
    except (RedisError, OSError) as error:
        SESSION_STORE_FAILED.emit(operation=operation, error=repr(error))
        raise SessionStoreUnavailable from error


def _server() -> Server:
    url = settings.REDIS_URL
    if not url:
        raise SettingInvalid(
            "SCALEKIT_SESSIONS_REDIS_URL is not set, and scalekit.sessions.redis keeps sessions there."
            ' Write for example SCALEKIT_SESSIONS_REDIS_URL = "redis://sessions.internal:6379/0".'
        )
    return _servers.get(url) or _servers.setdefault(url, Server(url))


def _connect(url: str) -> Redis:
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.exceptions import ConnectionError as Disconnected
        from redis.retry import Retry
    except ImportError as error:
        msg = 'Sessions in Redis need its client: pip install "django-scalekit[redis]"'
        raise ImportError(msg) from error

    # One more try where the server closed an idle connection; a time-out is not worth waiting twice.
    once_more = Retry(NoBackoff(), 1, supported_errors=(Disconnected,))
    wait = settings.TIMEOUT
    return Redis.from_url(url, socket_timeout=wait, socket_connect_timeout=wait, retry=once_more)


_servers: dict[str, Server] = {}


def _forget(*, setting: str, **_: Any) -> None:
    if setting.startswith("SCALEKIT_SESSIONS_"):
        _servers.clear()


setting_changed.connect(_forget, dispatch_uid="scalekit.sessions.server")
