"""Data directories: made from a template, from another server, or wound back to one."""

from __future__ import annotations

import contextlib
import functools
import re
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scalekit.testing.servers.binaries import POSTGRES
from scalekit.testing.servers.exceptions import ServerBinaryMissing, ServerError
from scalekit.testing.servers.spawning import run

from . import identity
from .access import USER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scalekit.testing.servers.privileges import Account
    from scalekit.testing.servers.waiting import Waits

_BUILTIN_LOCALES, _INITDB_SETTINGS = 17, 16  # the versions of PostgreSQL that brought them
PASSWORD_FILE = "password"  # noqa: S105 - its name


@dataclass(frozen=True)
class Tools:
    """PostgreSQL's programs, run as `account`, with their output in `log`."""

    account: Account
    log: Path
    waits: Waits

    def initdb(self, data: Path, password_file: Path) -> None:
        """Make an empty cluster with one superuser, small log segments and UTF-8."""
        self._run(
            "initdb", "-D", data, "-U", USER, "-A", "scram-sha-256", "--pwfile", password_file,
            "--encoding=UTF8", "--wal-segsize=1", "--no-sync", "--no-instructions", *_initdb_options(self.major),
        )  # fmt: skip

    def resetwal(self, data: Path) -> None:
        """Begin the log anew, with the identifier that pg_control names."""
        self._run("pg_resetwal", "-D", data)

    def basebackup(self, data: Path, source: str, slot: str) -> None:
        """Copy a running server."""
        self._run(
            "pg_basebackup", "-D", data, "-d", source, "-S", slot, "-X", "stream", "-c", "fast", "--no-sync"
        )  # fmt: skip

    def rewind(self, data: Path, source: str) -> None:
        """Wind a stopped server back to where `source` left it, and on to where that is now."""
        self._run("pg_rewind", "-D", data, "--source-server", source, "--no-sync")

    @property
    def major(self) -> int:
        """The major version."""
        return _major(self.path("postgres"))

    def path(self, name: str) -> Path:
        """Return the path of one program. Raises `ServerBinaryMissing`."""
        server = POSTGRES.find()
        self.account.require_reach(server.parent)
        found = server.parent / name
        if not found.exists():
            raise ServerBinaryMissing(
                f"{name} is not beside {server}: point SCALEKIT_POSTGRES_BIN at a whole server"
            )
        return found

    def _run(self, name: str, *arguments: str | Path) -> None:
        run([self.path(name), *arguments], self.log, account=self.account, waits=self.waits)


def new_cluster(data: Path, templates: Path, tools: Tools) -> None:
    """Make `data` a fresh cluster: a copy of a template (made once in `templates`) with its own identifier."""
    template = templates / f"postgres-{tools.major}"
    if not template.exists():
        _make_template(template, tools)
    with finished(data, tools.account) as copy:
        shutil.copytree(template / "data", copy, dirs_exist_ok=True)
        shutil.copy(template / PASSWORD_FILE, data.parent)
        identity.renew(copy)
        tools.account.adopt(copy)
        tools.resetwal(copy)


@contextlib.contextmanager
def finished(data: Path, account: Account) -> Iterator[Path]:
    """Give a folder to fill, and name it `data` only once it is full: what was interrupted is not mistaken for data."""
    partial = data.with_name(f"{data.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    account.adopt(partial)
    yield partial
    partial.rename(data)


def require_version(data: Path, major: int) -> None:
    """Raise `ServerError` when the data was written by another major version."""
    written_by = (data / "PG_VERSION").read_text().strip()
    if written_by != str(major):
        raise ServerError(
            f"{data} was written by PostgreSQL {written_by}, found was {major}: remove the folder"
        )


def _make_template(template: Path, tools: Tools) -> None:
    template.parent.mkdir(parents=True, exist_ok=True)
    with finished(template, tools.account) as folder:
        password = folder / PASSWORD_FILE
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24))
        tools.account.adopt(password)
        tools.initdb(folder / "data", password)


def _initdb_options(major: int) -> tuple[str, ...]:
    """Return the options that depend on the version: text of every language, and logins that cost nothing.

    The password is long and random, so repeating its hash 4096 times for every connection would protect nothing.
    """
    if major >= _BUILTIN_LOCALES:
        return (
            "--locale-provider=builtin",
            "--locale=C",
            "--builtin-locale=C.UTF-8",
            "-c",
            "scram_iterations=1",
        )
    locale = "--locale=C.UTF-8" if sys.platform == "linux" else "--locale=C"
    return (locale, "-c", "scram_iterations=1") if major >= _INITDB_SETTINGS else (locale,)


@functools.cache
def _major(server: Path) -> int:
    said = subprocess.run(
        [server, "--version"], capture_output=True, text=True, check=True, timeout=30
    ).stdout
    if not (number := re.search(r"(\d+)", said)):
        raise ServerError(f"{server} --version said {said!r}")
    return int(number[1])
