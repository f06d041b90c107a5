"""The live table: which server answered what."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
from rich.live import Live
from rich.table import Table

from example_project.demo.steps import DemoFailed
from example_project.demo.watching import Metrics, json_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from example_project.demo.site import DemoSite
    from scalekit.testing.servers import Server

REFRESH = 1.0  # seconds

KINDS = {
    "cdn": "CDN edge (nginx)",
    "lb": "load balancer (nginx)",
    "web": "web server (gunicorn)",
    "primary": "PostgreSQL: people, follows",
    "replica": "streaming replica of primary",
    "shard": "PostgreSQL: photos, likes, comments",
    "valkey": "cache, sessions, queue",
    "worker": "run_workers: makes the thumbnails",
}


@dataclass
class Board:
    """What is known of each server, read anew at each refresh."""

    site: DemoSite
    metrics: Metrics
    answered: Counter[str] = field(default_factory=Counter)
    notes: dict[str, str] = field(default_factory=dict)

    def refresh(self) -> None:
        """Read the logs and the metrics; keep the last figures if the site is too busy to give them."""
        self._count_requests()
        try:
            self._count_work()
        except (httpx.HTTPError, DemoFailed, OSError):
            self.notes["lb"] = "metrics did not answer"

    def _count_requests(self) -> None:
        names = {web.address: web.name for web in self.site.webs}
        lines = json_lines(self.site.lb.access_log)
        through = [line["upstream"] for line in lines if line["uri"] != "/metrics"]
        for web in self.site.webs:
            self.answered[web.name] = sum(names.get(a.split(", ")[-1]) == web.name for a in through)
        self.answered["lb"] = len(through)
        states = Counter(line["cache"] for line in json_lines(self.site.cdn.access_log))
        self.answered["cdn"] = states.total()
        self.notes["cdn"] = f"{states['HIT']} from the edge, {states['MISS']} from the origin"

    def _count_work(self) -> None:
        queries = self.metrics.by("scalekit_db_query_duration_seconds_count", "alias")
        for server in self.site.databases:
            alias = "default" if server is self.site.primary else server.name
            self.answered[server.name] = int(queries[alias])
        results = self.metrics.by("scalekit_cache_read_total", "result")
        self.notes["valkey"] = f"cache: {results['hit']:.0f} hits, {results['miss']:.0f} misses"
        jobs = self.metrics.by("scalekit_queue_job_finished_total", "outcome")
        self.answered["worker"] = int(jobs.total())
        self.notes["lb"] = ""

    def table(self) -> Table:
        table = Table(caption="Ctrl-C stops everything", caption_justify="left")
        for heading in ("server", "what it is", "address", "", "answered", ""):
            table.add_column(heading, justify="right" if heading == "answered" else "left")
        for server in self.site.servers:
            table.add_row(*self._row(server))
        return table

    def _row(self, server: Server) -> tuple[str, ...]:
        state = "[green]up[/]" if server.running else "[red]down[/]"
        count = str(self.answered[server.name]) if server.name in self.answered else ""
        where = server.address if server.port else f"process {server.pid}"
        what = KINDS[server.name.rstrip("_0123456789")]
        return server.name, what, where, state, count, self.notes.get(server.name, "")


def show(site: DemoSite, console: Console) -> None:
    """Print the address and the login, then the table until Ctrl-C."""
    board = Board(site, Metrics(site))
    console.print(f"\n  Open    [bold]{site.url}/[/]")
    console.print(f"  Log in  [bold]{site.login}[/] / [bold]{site.password}[/]")
    console.print(f"  JSON    curl {site.url}/users/1\n")
    if console.is_terminal:
        watch(board, console)
    else:
        until_interrupted(board.refresh)


def watch(board: Board, console: Console) -> None:
    with Live(board.table(), console=console, refresh_per_second=4, transient=True) as live:

        def refresh() -> None:
            board.refresh()
            live.update(board.table())

        until_interrupted(refresh)


def until_interrupted(act: Callable[[], None]) -> None:
    try:
        while True:
            act()
            time.sleep(REFRESH)
    except KeyboardInterrupt:
        return
