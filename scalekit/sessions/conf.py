from __future__ import annotations

from scalekit.core.conf import Setting, Settings

_SCHEMES = ("redis://", "rediss://", "unix://")


class SessionsSettings(Settings):
    prefix = "SCALEKIT_SESSIONS_"

    REDIS_URL = Setting(
        "",
        "Address of the Redis or Valkey that keeps the sessions, such as redis://sessions.internal:6379/0.",
        kind=str,
        valid=lambda url: not url or url.startswith(_SCHEMES),
        expected="redis://host:port/database, rediss://... or unix:///path/to/socket",
        example="redis://sessions.internal:6379/0",
    )
    TIMEOUT = Setting(
        0.5,
        "Seconds to wait for the session store, to connect and for each answer.",
        kind=(int, float),
        valid=lambda seconds: seconds > 0,
        expected="a number of seconds above 0",
    )


settings = SessionsSettings()
