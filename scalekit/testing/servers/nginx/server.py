"""nginx with any configuration, in the foreground and with all its files in one folder."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from scalekit.testing.servers import processes
from scalekit.testing.servers.base import Server
from scalekit.testing.servers.binaries import NGINX
from scalekit.testing.servers.ports import answers
from scalekit.testing.servers.spawning import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scalekit.testing.servers.waiting import Waits

_HERE = Path(__file__).parent
_MODULES_WITH_FILES = ("fastcgi", "uwsgi", "scgi")


class NginxTemplate(Template):
    """A configuration with `@{name}` for what we fill in, since `$name` is nginx's own."""

    delimiter = "@"


class Nginx(Server):
    """An nginx server. `http` goes into its `http { }` block; `@{address}` in it is where to listen."""

    stop_signal = signal.SIGTERM  # at once; SIGQUIT would wait for every connection to end

    def __init__(
        self, name: str, folder: Path, port: int, http: str = "", *, waits: Waits | None = None
    ) -> None:
        """Describe it without starting it."""
        super().__init__(name, folder, port, waits=waits)
        self.http = http

    @property
    def url(self) -> str:
        """Where it answers: `http://127.0.0.1:port`."""
        return f"http://{self.address}"

    @property
    def access_log(self) -> Path:
        """One JSON object a request."""
        return self.folder / "access.log"

    def requests(self) -> list[dict[str, Any]]:
        """Return the requests it has logged so far, oldest first: id, method, uri, status, seconds, upstream ..."""
        with contextlib.suppress(FileNotFoundError):
            lines = self.access_log.read_text().splitlines(keepends=True)
            return [json.loads(line) for line in lines if line.endswith("\n")]
        return []

    def rendered_http(self) -> str:
        """Return what goes into the `http { }` block."""
        return NginxTemplate(self.http).safe_substitute(address=self.address)

    def prepare(self) -> None:
        """Write the configuration. Raises `ToolFailed` with nginx's words when it does not like it."""
        (self.folder / "temp").mkdir(exist_ok=True)
        self._configuration.write_text(self._rendered())
        run(
            [*self.command(), "-t", "-q"],
            self.folder / "tools.log",
            account=self.account,
            waits=self.waits,
        )

    def command(self) -> Sequence[str | Path]:
        """Return nginx with its configuration and its folder."""
        return [NGINX.find(), "-p", self.folder, "-c", self._configuration, "-e", "stderr"]

    def is_ready(self) -> bool:
        """Tell whether the port answers."""
        return answers(self.port)

    def reload(self) -> None:
        """Take a changed configuration over without losing a request; return when only new workers take new ones."""
        before = self._workers()
        self.prepare()
        self._running_child().send(signal.SIGHUP)
        self.waits.until(lambda: self._replaced(before), f"reloading {self.name}")

    def _replaced(self, before: set[int]) -> bool:
        """Tell whether there are new workers and the old ones have gone or only finish what they have."""
        now = self._workers()
        return bool(now - before) and not now & before

    def _workers(self) -> set[int]:
        """Return the workers that accept connections: a worker's title says when it does so no more."""
        titles = {pid: processes.title(pid) for pid in self.pids if pid != self.pid}
        return {
            pid
            for pid, title in titles.items()
            if "worker process" in title and "shutting" not in title
        }

    def _rendered(self) -> str:
        return template("base.conf").substitute(
            user="user root;"
            if os.geteuid() == 0
            else "",  # its workers must enter private folders
            temporary="\n  ".join(self._temporary_folders()),
            http=self.rendered_http(),
        )

    def _temporary_folders(self) -> Iterator[str]:
        """Name every folder that this nginx would otherwise make in the system's."""
        for module in ("client_body", "proxy", *compiled_in(NGINX.find())):
            yield f"{module}_temp_path temp/{module};"

    @property
    def _configuration(self) -> Path:
        return self.folder / "nginx.conf"


def template(name: str) -> NginxTemplate:
    """Return one of the configurations beside this file."""
    return NginxTemplate((_HERE / name).read_text())


@functools.cache
def compiled_in(program: Path) -> tuple[str, ...]:
    """Return which optional modules that keep temporary files this nginx was compiled with."""
    said = subprocess.run(
        [program, "-V"], capture_output=True, text=True, check=True, timeout=30
    ).stderr
    return tuple(
        name for name in _MODULES_WITH_FILES if f"--without-http_{name}_module" not in said
    )
