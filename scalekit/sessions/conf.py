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
    BREAKER_SECONDS = Setting(
        1.0,
        "Seconds for which a process leaves a Redis alone that did not answer in time; one request then tries again.",
        kind=(int, float),
        valid=lambda seconds: seconds >= 0,
        expected="a number of seconds, 0 or more",
    )
    EPOCH_SECONDS = Setting(
        1.0,
        "Seconds for which a process of the hybrid engine may go without asking the database whether Redis is to be believed.",
        kind=(int, float),
        valid=lambda seconds: seconds >= 0,
        expected="a number of seconds, 0 or more",
    )
    PREVIOUS_ENGINE = Setting(
        "",
        "The SESSION_ENGINE that was used before: its sessions are taken over when their visitors come back.",
        kind=str,
        example="django.contrib.sessions.backends.db",
    )
    ROLLING_SECONDS = Setting(
        0,
        "A session that is read, and was last saved this many seconds ago, is saved again, which renews its lifetime; 0: only saves renew it.",
        kind=(int, float),
        valid=lambda seconds: seconds >= 0,
        expected="a number of seconds, 0 or more",
        example=3600,
    )
    ABSOLUTE_SECONDS = Setting(
        0,
        "A session ends this many seconds after it began (the login begins a new one), however often it is renewed; 0: never.",
        kind=(int, float),
        valid=lambda seconds: seconds >= 0,
        expected="a number of seconds, 0 or more",
        example=30 * 86400,
    )
    WARN_BYTES = Setting(
        64_000,
        "A session that is saved with more bytes than these is announced as session_large.",
        kind=int,
        valid=lambda size: size > 0,
        expected="a number of bytes above 0",
    )
    MAX_BYTES = Setting(
        1_000_000,
        "A session with more bytes than these is not saved: SessionTooLarge is raised.",
        kind=int,
        valid=lambda size: size > 0,
        expected="a number of bytes above 0",
    )
    LOGOUT_ON_PASSWORD_CHANGE = Setting(
        True,
        "End all sessions of a user whose password changes; Django's view for it keeps the visitor who changed it logged in.",
        kind=bool,
    )


settings = SessionsSettings()
