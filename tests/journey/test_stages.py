"""The journey: every stage boots with nothing but its settings, and serves the same pages."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from example_project.demo.site import ROOT, address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from example_project.demo.site import DemoSite

STAGES = sorted(path.stem for path in (ROOT / "example_project/settings").glob("stage_*.py"))
PAGES = ["/explore/", "/@ada/", "/login/", "/join/", "/users/1", "/no-such-page/"]
SEED = ["seed_photos", "--people=4", "--photos=6", "--password=sunprint-demo", "--inline"]
MANAGE = """
import json, sys
from example_project.manage import main
for command in json.loads(sys.argv[1]):
    sys.argv = ["manage.py", *command]
    main()
"""


class Stage:
    """The site on one stage: one web server, and that stage's settings."""

    def __init__(self, name: str, site: DemoSite, folder: Path) -> None:
        self.name, self.site = name, site
        database = "shared" if name < "stage_11" else "sharded"
        self.environment = {
            **site.environment,
            "DJANGO_SETTINGS_MODULE": f"example_project.settings.{name}",
            "DATABASE_URL": address(site.primary, database),
            "DATABASE_REPLICA_URLS": ",".join(address(r, database) for r in site.replicas),
            "DATABASE_SHARD_URLS": ",".join(address(s, "sharded") for s in site.shards),
            "PHOTOS_DATA": str(folder / "data"),
            "PHOTOS_STATIC_ROOT": str(folder / name / "static"),
            "PHOTOS_MEDIA_ROOT": str(folder / "media"),
        }

    def manage(self, *commands: list[str]) -> None:
        """Run commands one after the other in one process: most of the time one takes is imports."""
        done = subprocess.run(
            [sys.executable, "-c", MANAGE, json.dumps(commands)],
            env={**os.environ, **self.environment},
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{self.name}: {done.stderr[-3000:]}"

    def prepare(self) -> None:
        shards = [["migrate_shards"]] if self.name.startswith("stage_11") else []
        self.manage(
            ["check", "--fail-level=WARNING"],
            ["migrate"],
            *shards,
            ["collectstatic", "--noinput"],
            SEED,
        )

    def serve(self) -> httpx.Client:
        port = self.site.topology.free_port()
        argv = [
            sys.executable,
            "-m",
            "gunicorn",
            "example_project.wsgi",
            f"--bind=127.0.0.1:{port}",
        ]
        argv += ["--no-control-socket"]
        self.server = self.site.topology.process(
            self.name, argv, port=port, env=self.environment, cwd=ROOT
        )
        return httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20)


@pytest.fixture(scope="module")
def served(
    demo_site: DemoSite, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, dict[str, str]]]:
    """Every page of every stage, without what must differ."""
    for server in (demo_site.primary, *demo_site.shards):
        server.create_database("shared")
        server.create_database("sharded")
    folder = tmp_path_factory.mktemp("journey")
    return {name: pages_of(Stage(name, demo_site, folder)) for name in STAGES}


def pages_of(stage: Stage) -> dict[str, str]:
    stage.prepare()
    with stage.serve() as browser:
        pages = {path: same(browser.get(path)) for path in PAGES}
    stage.server.stop()
    return pages


def same(response: httpx.Response) -> str:
    """Return the status and the lines of the page without ids, tokens, hosts, hashes and times.

    Sorted: ids of different shards that one process makes within 64 ms have an order of their own.
    """
    text = re.sub(r'value="[A-Za-z0-9]{64}"', 'value="token"', response.text)
    text = re.sub(r"https?://127\.0\.0\.1:\d+", "", text)
    text = re.sub(r"/(media|static)/[^\"' ),]+", r"/\1/file", text)
    text = re.sub(r"\d{4}-\d\d-\d\d[T ][\d:.+Z]+", "time", text)
    text = re.sub(r"(<time[^>]*>)[^<]*", r"\1", text)
    text = re.sub(r"\d{6,}", "id", text)
    return "\n".join([str(response.status_code), *sorted(text.splitlines())])


def test_there_are_eleven_stages_each_upon_the_one_before():
    assert len(STAGES) == 11
    for lower, upper in itertools.pairwise(STAGES):
        source = (ROOT / f"example_project/settings/{upper}.py").read_text()
        assert f"from .{lower} import *" in source


@pytest.mark.servers
@pytest.mark.timeout(600)  # the first makes all eleven stages
@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("stage", STAGES[1:])
def test_every_stage_serves_what_one_server_did(served, stage, path):
    assert served[stage][path] == served[STAGES[0]][path]
