"""Static files as an edge of a CDN (nginx) gets them from a site, through deploys."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
from django.core.management import call_command
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from django.templatetags.static import static

from scalekit.cdn.headers import is_immutable

pytestmark = pytest.mark.servers

urlpatterns: list = []
FOREVER = "max-age=315360000, public, immutable"


class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


@contextmanager
def origin(topology):
    """Serve the site, as it is now, until the block ends."""
    server = ThreadedWSGIServer(("127.0.0.1", topology.free_port()), Quiet)
    server.daemon_threads = True
    server.set_app(get_wsgi_application())
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def sources(tmp_path, settings):
    """Return the folder of a site's static files; nothing is collected yet."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "site.css").write_text("body{color:red}")
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = ["*"]
    settings.STATIC_URL, settings.STATIC_ROOT = "/static/", tmp_path / "root"
    settings.STATIC_ROOT.mkdir()
    settings.STATICFILES_DIRS = [folder]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    backend = {"BACKEND": "scalekit.cdn.storage.CdnStaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": backend}
    settings.WHITENOISE_IMMUTABLE_FILE_TEST = is_immutable
    settings.WHITENOISE_USE_FINDERS = settings.WHITENOISE_AUTOREFRESH = False
    settings.ROOT_URLCONF, settings.TEMPLATES = __name__, []
    settings.MIDDLEWARE = [
        "scalekit.cdn.middleware.MissingAssetMiddleware",
        "whitenoise.middleware.WhiteNoiseMiddleware",
    ]
    return folder


def collect() -> None:
    call_command("collectstatic", interactive=False, verbosity=0)


def fetch(url: str):
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def test_the_page_s_address_is_the_edge_s_and_is_kept_for_ever(sources, settings, scalekit_servers):
    collect()
    with origin(scalekit_servers) as site:
        edge = scalekit_servers.cdn_edge("cdn", site, prefixes=["/static/"])
        settings.SCALEKIT_CDN_URL = f"http://{edge.address}"
        url = static("site.css")
        first, second = fetch(url), fetch(url)
    assert url.startswith(f"http://{edge.address}/static/site.")
    assert [status for status, _, _ in (first, second)] == [200, 200]
    assert [headers["X-Cache"] for _, headers, _ in (first, second)] == ["MISS", "HIT"]
    assert second[1]["Cache-Control"] == FOREVER
    assert second[2] == b"body{color:red}"


def test_pages_of_both_releases_stay_styled(sources, settings, scalekit_servers):
    collect()
    old = static("site.css")
    (sources / "site.css").write_text("body{color:blue}")
    collect()
    new = static("site.css")
    with origin(scalekit_servers) as site:
        found = {path: fetch(f"http://{site}{path}") for path in (old, new)}
    assert old != new
    assert [found[path][2] for path in (old, new)] == [b"body{color:red}", b"body{color:blue}"]
    assert {found[path][1]["Cache-Control"] for path in (old, new)} == {FOREVER}


def test_nobody_remembers_that_a_file_was_missing(sources, scalekit_servers):
    collect()
    with origin(scalekit_servers) as site:
        edge = scalekit_servers.cdn_edge("cdn", site, prefixes=["/static/"])
        missing = "/static/site.2f9b1c3d4e5f.css"
        answers = [fetch(f"http://{host}{missing}") for host in (site, edge.address, edge.address)]
    assert [status for status, _, _ in answers] == [404, 404, 404]
    assert {headers["Cache-Control"] for _, headers, _ in answers} == {"no-store"}
    assert [headers["X-Cache"] for _, headers, _ in answers] == [None, "MISS", "MISS"]


def test_a_file_in_use_is_there_at_every_moment_of_a_deploy(sources, settings):
    (sources / "page.css").write_text('@import "site.css";')
    collect()
    manifest = settings.STATIC_ROOT / "staticfiles.json"
    live = [
        settings.STATIC_ROOT / name for name in json.loads(manifest.read_text())["paths"].values()
    ]
    before = {path: path.read_bytes() for path in live}
    stop, looks, faults = threading.Event(), [0], []

    def watch() -> None:
        while not stop.is_set():
            try:
                json.loads(manifest.read_text())
                faults.extend(
                    path for path, content in before.items() if path.read_bytes() != content
                )
            except (OSError, ValueError) as error:
                faults.append(error)
            looks[0] += 1

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(20):
        (sources / "other.css").write_text(f"body{{margin:{number}px}}")
        collect()
    stop.set()
    watcher.join()
    assert faults == []
    assert looks[0] > 20
