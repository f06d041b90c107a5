"""``check --deploy``: whatever ties a visitor to one web server, and what to put in its place.

What `scalekit.cache` and `scalekit.sessions` say of caches and sessions where they are installed is not
said here again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Warning, register  # noqa: A004 - Django's word
from django.core.files.storage import FileSystemStorage, InMemoryStorage
from django.utils.module_loading import import_string

if TYPE_CHECKING:
    from collections.abc import Iterator

IN_PROCESS = ("LocMemCache", "DummyCache")
SQLITE = ("sqlite3", "spatialite")


@register(deploy=True)
def check_stateless(**_: Any) -> list[CheckMessage]:
    """Find what another web server would not know."""
    return [*_databases(), *_sessions(), *_caches(), *_uploads(), *_assets()]


def _databases() -> Iterator[CheckMessage]:
    for alias, config in settings.DATABASES.items():
        if str(config.get("ENGINE")).endswith(SQLITE):
            yield Warning(
                f"DATABASES[{alias!r}] is SQLite: a file that only one server has.",
                hint="Move it to a database server, such as PostgreSQL, that all web servers reach.",
                id="scalekit.health.W010",
            )


def _sessions() -> Iterator[CheckMessage]:
    if apps.is_installed("scalekit.sessions"):
        return
    engine, alias = settings.SESSION_ENGINE, settings.SESSION_CACHE_ALIAS
    if engine == "django.contrib.sessions.backends.file":
        yield Warning(
            f"SESSION_ENGINE = {engine!r}: a visitor is logged in on one server only.",
            hint='Write SESSION_ENGINE = "django.contrib.sessions.backends.db", or use scalekit.sessions.',
            id="scalekit.health.W011",
        )
    backend = settings.CACHES.get(alias, {}).get("BACKEND", "")
    if engine.endswith((".cache", ".cached_db")) and backend.endswith(
        (*IN_PROCESS, "FileBasedCache")
    ):
        yield Warning(
            f"SESSION_ENGINE = {engine!r} keeps sessions in CACHES[{alias!r}], which other servers do not share: "
            "a visitor is logged in on one of them only, or logged out on one only.",
            hint='Write SESSION_ENGINE = "django.contrib.sessions.backends.db", or give that cache a server.',
            id="scalekit.health.W012",
        )


def _caches() -> Iterator[CheckMessage]:
    for alias, config in settings.CACHES.items():
        backend = config["BACKEND"]
        if backend.endswith(IN_PROCESS) and not apps.is_installed("scalekit.cache"):
            yield _cache(alias, "lives in one process", "W013")
        elif backend.endswith("FileBasedCache"):
            yield _cache(alias, "is a folder of one server", "W014")


def _cache(alias: str, what: str, number: str) -> CheckMessage:
    return Warning(
        f"CACHES[{alias!r}] {what}: what one server deletes from it, others go on showing.",
        hint='Give it a server: "BACKEND": "django.core.cache.backends.redis.RedisCache".',
        id=f"scalekit.health.{number}",
    )


def _uploads() -> Iterator[CheckMessage]:
    for alias in settings.STORAGES:
        storage = None if alias == "staticfiles" else _class_of(alias)
        if storage is not None and issubclass(storage, (FileSystemStorage, InMemoryStorage)):
            yield Warning(
                f"STORAGES[{alias!r}] keeps uploads on one server: the others answer 404 for them.",
                hint="Use object storage (django-storages: S3, GCS, Azure). Where MEDIA_ROOT is a file system that "
                "all servers mount, silence this check.",
                id="scalekit.health.W015",
            )


def _assets() -> Iterator[CheckMessage]:
    storage = _class_of("staticfiles")
    if storage is None or not issubclass(storage, FileSystemStorage) or _keeps_releases(storage):
        return
    hashed = hasattr(storage, "hashed_name")
    told = (
        "knows the files of its own release only"
        if hashed
        else "gives files the same name in every release"
    )
    yield Warning(
        f"STORAGES['staticfiles'] {told}: while a new release is rolled out, a page of one server "
        "asks the other for a style sheet that it does not have"
        + ("." if hashed else ", or has in another version."),
        hint="Use scalekit.cdn.storage.CdnStaticFilesStorage, or publish the files of both releases first.",
        id="scalekit.health.W016",
    )


def _keeps_releases(storage: type) -> bool:
    return any(base.__module__.startswith("scalekit.cdn.") for base in storage.__mro__)


def _class_of(alias: str) -> type | None:
    """Return a storage's class; None for one that is not there, or not to be imported, which Django says."""
    try:
        found = import_string(settings.STORAGES[alias]["BACKEND"])
    except (ImportError, KeyError, TypeError):
        return None
    return found if isinstance(found, type) else None
