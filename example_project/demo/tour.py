"""``make demo ARGS=--tour``: a visit over HTTP that proves each rung, one line each."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import secrets
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING

import httpx
import psycopg
from rich.markup import escape

from example_project.demo.steps import DemoFailed
from example_project.demo.visitor import Visitor
from example_project.demo.watching import Metrics, json_lines
from example_project.photos.samples import PHOTOGRAPHS
from scalekit.core.exceptions import ScalekitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from example_project.demo.site import DemoSite

# Whatever ends a step early: the site, its databases, or the servers themselves.
FAILURES = (
    DemoFailed,
    ScalekitError,
    httpx.HTTPError,
    psycopg.Error,
    OSError,
    LookupError,
    ValueError,
)
PATIENCE = 15.0  # seconds; everything waited for here takes well under one on an idle machine


class Tour:
    """The visitor, what they have learned so far, and one method a rung."""

    def __init__(self, site: DemoSite) -> None:
        self.site = site
        self.visitor = Visitor(site.url)
        self.metrics = Metrics(site)
        self.photo_id = 0
        self.request_id = ""

    def steps(self) -> list[tuple[str, Callable[[], str]]]:
        return [
            ("load balancer", self.both_web_servers_answer),
            ("health", self.probes_and_metrics_answer),
            ("replicas", self.reads_go_to_a_replica),
            ("read your writes", self.a_write_is_read_back_at_once),
            ("a replica dies", self.no_request_fails_without_a_replica),
            ("the primary dies", self.reads_go_on_without_the_primary),
            ("cache", self.the_second_read_is_a_hit),
            ("CDN", self.static_files_come_from_the_edge),
            ("shards", self.a_photo_lies_on_its_owners_shard),
            ("message queue", self.the_worker_makes_the_thumbnail),
            ("the broker dies", self.a_job_outlives_the_broker),
            ("a worker dies", self.killed_workers_are_replaced),
            ("logging", self.web_server_and_worker_share_a_request_id),
            ("stateless web tier", self.a_login_outlives_its_web_server),
        ]

    def both_web_servers_answer(self) -> str:
        for _ in range(20):
            self.visitor.get("/explore/")
        answered = Counter(self._upstreams(self.site.lb.access_log))
        missing = [web.name for web in self.site.webs if not answered[web.name]]
        require(not missing, f"{', '.join(missing)} answered none of 20 requests")
        return ", ".join(f"{name} answered {count}" for name, count in sorted(answered.items()))

    def _upstreams(self, access_log: object) -> Iterator[str]:
        names = {web.address: web.name for web in self.site.webs}
        for line in json_lines(access_log):
            yield names.get(line["upstream"].split(",")[-1].strip(), "another")

    def probes_and_metrics_answer(self) -> str:
        self.visitor.get("/livez")
        ready = httpx.codes.OK
        wait_for(lambda: self.visitor.status_of("/readyz") == ready, "/readyz did not answer 200")
        closed = self.visitor.http.get("/metrics").status_code
        require(closed in {401, 403, 404}, f"/metrics is open to everyone ({closed})")
        return (
            f"/livez, /readyz; /metrics has {len(self.metrics.read())} series, for its token only"
        )

    def reads_go_to_a_replica(self) -> str:
        before = self.metrics.reads_by_alias()
        stranger = Visitor(self.site.url)
        for _ in range(10):
            stranger.get("/explore/")
        reads = self.metrics.reads_by_alias() - before
        replicas = {alias: n for alias, n in reads.items() if alias.startswith("replica") and n}
        require(replicas, f"all reads went to {dict(reads)}")
        return ", ".join(f"{alias} took {n:.0f} reads" for alias, n in sorted(replicas.items()))

    def a_write_is_read_back_at_once(self) -> str:
        name = "tour_" + secrets.token_hex(4)
        password = secrets.token_urlsafe(12)
        with self._replicas_lagging():
            self.visitor.submit(
                "/join/", {"username": name, "name": "A Visitor", "password": password}
            )
            bio = f"Here since {time.strftime('%H:%M:%S')}"
            self.visitor.submit("/settings/", {"name": "A Visitor", "bio": bio})
            page = self.visitor.get(f"/@{name}/").text
        self.username, self.password = name, password
        require(bio in page, "the page shows the profile as it was before the change")
        return "signed up and changed the profile while both replicas stood still; saw both at once"

    @contextlib.contextmanager
    def _replicas_lagging(self) -> Iterator[None]:
        for replica in self.site.replicas:
            replica.pause_replay()
        try:
            yield
        finally:
            for replica in self.site.replicas:
                replica.resume_replay()

    def no_request_fails_without_a_replica(self) -> str:
        stranger = Visitor(self.site.url)
        killed = self.site.replicas[0]
        killed.kill()
        for _ in range(40):
            stranger.get("/explore/")
        killed.start()
        self._wait_for_reads_of(killed.name)
        return f"{killed.name} was killed; 40 of 40 requests were answered"

    def _wait_for_reads_of(self, replica: str) -> None:
        """Go on when a replica that was away is in rotation again."""
        before, stranger = self.metrics.reads_by_alias()[replica], Visitor(self.site.url)

        def is_back() -> bool:
            stranger.get("/explore/")
            return self.metrics.reads_by_alias()[replica] > before

        wait_for(is_back, f"{replica} took no reads after it had come back")

    def reads_go_on_without_the_primary(self) -> str:
        stranger, profile = Visitor(self.site.url), {"name": "A Visitor", "bio": "Still here"}
        self.site.primary.kill()
        for _ in range(20):
            stranger.get("/explore/")
        refused = self.visitor.post("/settings/", profile)
        self.site.primary.start()
        require(refused.status_code == httpx.codes.SERVICE_UNAVAILABLE, f"a write got {refused}")
        wait = refused.headers["Retry-After"]
        wait_for(
            lambda: all(
                self.visitor.post("/settings/", profile).status_code == httpx.codes.FOUND
                for _ in range(2 * len(self.site.webs))  # each of them must have noticed
            ),
            "writes were not taken again after the primary had come back",
        )
        return f"20 of 20 reads were answered, a write got 503 (Retry-After {wait}); later it was taken"

    def the_second_read_is_a_hit(self) -> str:
        user_id = self._user_id()
        self.visitor.get(f"/users/{user_id}")
        before = self.metrics.total("scalekit_cache_read_total", result="hit")
        card = self.visitor.get(f"/users/{user_id}").json()
        hits = self.metrics.total("scalekit_cache_read_total", result="hit") - before
        require(hits >= 1, "the second read of a profile was not answered from the cache")
        return f"GET /users/{user_id} ({card['username']}) a second time: {hits:.0f} from the cache"

    def _user_id(self) -> int:
        sql = "SELECT id FROM auth_user WHERE username = %s"
        [(user_id,)] = self.site.primary.execute(sql, [self.username], database="photos")
        return int(user_id)

    def static_files_come_from_the_edge(self) -> str:
        page = self.visitor.get("/explore/").text
        match = re.search(r'href="([^"]+\.css)"', page)
        require(match, "the page names no style sheet")
        url = match[1]
        require(url.startswith(self.site.cdn_url), f"{url} is not on the edge {self.site.cdn_url}")
        require(re.search(r"\.[0-9a-f]{8,}\.css$", url), f"{url} has no hash in its name")
        self.visitor.get(url)
        again = self.visitor.get(url)
        policy, state = again.headers["Cache-Control"], again.headers["X-Cache"]
        require("immutable" in policy, f"Cache-Control is {policy!r}")
        require(state == "HIT", f"the second request for it was a {state} at the edge")
        return f"{url.rpartition('/')[2]}: {state}, {policy}"

    def a_photo_lies_on_its_owners_shard(self) -> str:
        self.photo_id, self.request_id = self._share_a_photo()
        found = [s.name for s in [self.site.primary, *self.site.shards] if self._has_photo(s)]
        expected = self._owners_shard()
        require(found == [expected], f"the photo lies on {found}, its owner's shard is {expected}")
        return f"photo {self.photo_id} lies on {expected} and nowhere else"

    def _share_a_photo(self) -> tuple[int, str]:
        """Upload one; return its id and the id of the request."""
        file = PHOTOGRAPHS / "tabby.jpg"
        upload = self.visitor.submit(
            "/photos/new/",
            {"caption": "From the tour", "alt": "A tabby cat"},
            files={"image": (file.name, file.read_bytes(), "image/jpeg")},
        )
        photo_id = int(re.findall(r"\d+", upload.headers["Location"])[0])
        return photo_id, upload.headers["X-Request-ID"]

    def _has_photo(self, server: object) -> bool:
        tables = "SELECT 1 FROM pg_tables WHERE tablename = 'photos_photo'"
        if not server.execute(tables, database="photos"):
            return False
        sql = "SELECT 1 FROM photos_photo WHERE id = %s"
        return bool(server.execute(sql, [self.photo_id], database="photos"))

    def _owners_shard(self) -> str:
        from scalekit.db.sharding.slots import Slots

        names = [shard.name for shard in self.site.shards]
        return Slots("users", shards=names, slots=4096).shard_for(self._user_id())

    def the_worker_makes_the_thumbnail(self) -> str:
        url, took = self._wait_for_the_thumbnail_of(self.photo_id)
        image = self.visitor.get(url)
        require(image.headers["Content-Type"] == "image/jpeg", "the thumbnail is no JPEG")
        return f"there after {took:.1f} s, {len(image.content) // 1024} KiB from the edge"

    def _wait_for_the_thumbnail_of(self, photo_id: int) -> tuple[str, float]:
        """Return its URL, and the seconds that it took to come."""
        started = time.monotonic()
        url = wait_for(
            lambda: self.visitor.get(f"/photos/{photo_id}/thumbnail/").json()["url"],
            "no thumbnail came from the worker",
        )
        return str(url), time.monotonic() - started

    def a_job_outlives_the_broker(self) -> str:
        self.site.valkey.kill()
        photo_id, _ = self._share_a_photo()
        self.site.valkey.start()
        _, took = self._wait_for_the_thumbnail_of(photo_id)
        return f"shared a photo without it; the thumbnail came {took:.1f} s after it was back"

    def killed_workers_are_replaced(self) -> str:
        killed = self.site.worker.pids - {self.site.worker.pid}
        require(killed, "run_workers has started no process")
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        photo_id, _ = self._share_a_photo()
        _, took = self._wait_for_the_thumbnail_of(photo_id)
        return f"{len(killed)} processes got kill -9; the next thumbnail came after {took:.1f} s"

    def web_server_and_worker_share_a_request_id(self) -> str:
        request_id = self.request_id
        for servers in (self.site.webs, [self.site.worker]):
            wait_for(
                lambda servers=servers: any(
                    line.get("request_id") == request_id
                    for server in servers
                    for line in json_lines(server.log)
                ),
                f"no log line of {servers[0].name} has the request id {request_id}",
            )
        return f"request_id {request_id} stands in both logs"

    def a_login_outlives_its_web_server(self) -> str:
        member = Visitor(self.site.url)
        member.log_in(self.username, self.password)
        lost = [self.site.webs[0], self.site.valkey]
        for server in lost:
            server.kill()
            answers = Counter(member.status_of("/settings/") for _ in range(10))
            server.start()
            require(
                answers == {httpx.codes.OK: 10},
                f"without {server.name}, 10 requests of a member got {dict(answers)}",
            )
        return f"{' and '.join(s.name for s in lost)} were killed in turn; the login held 20 of 20 times"


def require(fact: object, otherwise: str) -> None:
    """End the tour unless `fact` is true."""
    if not fact:
        raise DemoFailed(otherwise)


def wait_for(ask: Callable[[], object], otherwise: str) -> object:
    """Return the first true answer; give up after `PATIENCE` seconds."""
    deadline = time.monotonic() + PATIENCE
    for wait in itertools.chain([0.02, 0.05, 0.1], itertools.repeat(0.2)):
        if answer := ask():
            return answer
        require(time.monotonic() < deadline, f"{otherwise} within {PATIENCE:.0f} s")
        time.sleep(wait)
    raise AssertionError  # the loop ends by an answer or an error


def run(site: DemoSite, console: Console) -> int:
    """Take the tour; return 0, or 1 at the first rung that fails."""
    tour = Tour(site)
    for rung, step in tour.steps():
        try:
            proof = step()
        except FAILURES as error:
            console.print(f"[red]✗[/] {rung:<19} {escape(str(error))}", soft_wrap=True)
            return 1
        console.print(f"[green]✓[/] {rung:<19} {escape(proof)}", soft_wrap=True)
    return 0
