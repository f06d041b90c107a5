from __future__ import annotations

import pytest
from django.core.checks import run_checks

from scalekit.core.context import arrived_with, logged_facts, portable_facts, unit_of_work
from scalekit.regions.facts import REGION
from scalekit.regions.region import is_region, region_from
from tests.core.serving import serve_asgi, serve_wsgi

MIDDLEWARE = "scalekit.regions.middleware.RegionMiddleware"
both = pytest.mark.parametrize("serve", [serve_wsgi, serve_asgi], ids=["wsgi", "asgi"])


@pytest.fixture(autouse=True)
def site(settings):
    settings.ROOT_URLCONF = "tests.observability.sample_site"
    settings.MIDDLEWARE = [MIDDLEWARE]
    return settings


@both
def test_every_answer_names_the_region(serve, site):
    site.SCALEKIT_REGION = "eu-1"
    assert serve("/hello").headers["X-Region"] == "eu-1"
    assert serve("/nothing").headers["X-Region"] == "eu-1"


@both
def test_without_a_region_nothing_is_added(serve):
    assert "X-Region" not in serve("/hello").headers


def test_the_fact_travels_with_jobs_and_stands_in_logs():
    with unit_of_work():
        REGION.set("eu-1")
        assert logged_facts() == {"region": "eu-1"}
        carried = portable_facts()
    with arrived_with(carried):
        assert REGION.get() == "eu-1"


@pytest.mark.parametrize("name", ["eu", "eu-1", "US-East-2", "1", "a" * 63])
def test_names_of_regions(name):
    assert is_region(name)
    assert region_from(name) == name


@pytest.mark.parametrize(
    "name", ["", "-eu", "eu-", "eu 1", "eu\n", "eu.1", "a" * 64, "é", 7, None, b"eu"]
)
def test_what_is_no_name_of_a_region(name):
    assert not is_region(name)
    with arrived_with({"region": name}):
        assert REGION.get() == ""


@pytest.mark.django_db  # Django's check of JSON fields asks the database
@pytest.mark.parametrize("value", ["eu 1", 7, None, "eu\r\nX: y"])
def test_wrong_region_is_a_system_check(site, value):
    site.SCALEKIT_REGION = value
    assert [m.id for m in run_checks() if "SCALEKIT_REGION" in m.msg] == ["scalekit.core.E002"]
