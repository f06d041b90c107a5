from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.templatetags.static import static

from scalekit.cdn.storage import CdnMediaStorage, CdnStaticFilesStorage
from scalekit.cdn.versioning import hash_in

CDN = "https://cdn.example.com"
STORAGE = {"BACKEND": "scalekit.cdn.storage.CdnStaticFilesStorage"}


class Site:
    """A project's static files: where they are written, and what `collectstatic` makes of them."""

    def __init__(self, folder: Path):
        self.source, self.root = folder / "source", folder / "root"
        self.write("base.css", "body{margin:0}")
        self.write("site.css", '@import "base.css"; body{background:url(img/dot.png)}')
        self.write("img/dot.png", "dot one")

    def write(self, name: str, text: str) -> None:
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def collect(self, **options) -> None:
        call_command("collectstatic", interactive=False, verbosity=0, **options)

    def hashed(self) -> dict[str, tuple[int, int, bytes]]:
        found = (path for path in self.root.rglob("*") if hash_in(path.name))
        return {
            str(p.relative_to(self.root)): (p.stat().st_ino, p.stat().st_mtime_ns, p.read_bytes())
            for p in found
        }

    def manifest(self) -> dict[str, str]:
        return json.loads((self.root / "staticfiles.json").read_text())["paths"]


@pytest.fixture
def site(tmp_path, settings):
    site = Site(tmp_path)
    settings.DEBUG = False
    settings.STATIC_URL = "/static/"
    settings.STATICFILES_DIRS = [site.source]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STATIC_ROOT = site.root
    settings.STORAGES = {**settings.STORAGES, "staticfiles": STORAGE}
    settings.SCALEKIT_CDN_URL = CDN
    return site


def test_static_gives_a_hashed_name_on_the_cdn(site):
    site.collect()
    assert static("site.css") == f"{CDN}/static/{site.manifest()['site.css']}"


def test_without_cdn_the_origin_serves_the_hashed_name(site, settings):
    settings.SCALEKIT_CDN_URL = ""
    site.collect()
    assert static("site.css") == f"/static/{site.manifest()['site.css']}"


def test_debug_leaves_names_and_host_plain(site, settings):
    settings.DEBUG = True
    assert static("site.css") == "/static/site.css"


def test_static_url_with_its_own_host_is_left_alone(site, settings):
    site.collect()
    storage = CdnStaticFilesStorage(base_url="https://elsewhere.example.com/static/")
    assert storage.url("site.css").startswith("https://elsewhere.example.com/static/site.")


def test_stylesheets_name_what_they_use_by_hash(site):
    site.collect()
    paths = site.manifest()
    css = (site.root / paths["site.css"]).read_text()
    assert paths["base.css"] in css
    assert paths["img/dot.png"] in css


def test_second_collectstatic_touches_no_hashed_file(site):
    site.collect()
    before = site.hashed()
    site.collect()
    assert site.hashed() == before


def test_hashed_files_of_the_last_release_outlive_the_next(site):
    site.collect()
    before = site.hashed()
    site.write("img/dot.png", "dot two")
    site.collect()
    after = site.hashed()
    assert before.items() <= after.items()
    assert len(after) == len(before) + 2  # the image, and the stylesheet that names it


def test_clear_spares_published_files(site):
    site.collect()
    before = site.hashed()
    site.write("site.css", "body{}")
    site.collect(clear=True)
    assert before.items() <= site.hashed().items()


def test_no_file_is_left_behind_that_nothing_names(site):
    site.collect()
    assert set(site.hashed()) == set(site.manifest().values())
    assert not list(site.root.rglob(".*"))


def test_manifest_is_there_at_every_moment_and_written_last(site, monkeypatch):
    site.collect()
    site.write("site.css", "body{color:red}")
    replaced, replace = [], os.replace

    def watched(source, target):
        assert (site.root / "staticfiles.json").exists()
        replaced.append(Path(target).name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    site.collect()
    assert replaced[-1] == "staticfiles.json"
    assert replaced.count("staticfiles.json") == 1


def test_failed_collectstatic_keeps_the_old_manifest(site):
    site.collect()
    before = site.manifest()
    site.write("site.css", "body{background:url(no-such-file.png)}")
    with pytest.raises((ValueError, CommandError), match=r"no-such-file\.png"):
        site.collect()
    assert site.manifest() == before


def test_a_half_written_hashed_file_is_repaired(site):
    site.collect()
    victim = site.root / site.manifest()["site.css"]
    whole = victim.read_bytes()
    victim.write_bytes(whole[:5])
    site.collect()
    assert victim.read_bytes() == whole


def test_a_date_in_a_name_does_not_protect_a_file(site):
    site.write("report.202611241200.pdf", "first")
    site.collect()
    site.write("report.202611241200.pdf", "second")
    future = (site.root / "report.202611241200.pdf").stat().st_mtime + 10
    os.utime(site.source / "report.202611241200.pdf", (future, future))
    site.collect()
    assert (site.root / "report.202611241200.pdf").read_text() == "second"


def test_media_are_shown_from_the_cdn(tmp_path, settings):
    settings.SCALEKIT_CDN_URL = CDN
    storage = CdnMediaStorage(location=tmp_path, base_url="/media/")
    assert storage.url("a b.jpg") == f"{CDN}/media/a%20b.jpg"
