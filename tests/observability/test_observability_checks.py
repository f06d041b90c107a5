from __future__ import annotations

import sys

import pytest
from django.core.checks import run_checks

from scalekit.observability import meters, metrics
from scalekit.observability.exceptions import MetricsUnavailable

HEALTH = "scalekit.health.middleware.HealthMiddleware"
REQUEST = "scalekit.observability.middleware.RequestMiddleware"
COMMON = "django.middleware.common.CommonMiddleware"

# Some model has a JSONField, and Django's own check asks the database whether it has JSON.
pytestmark = pytest.mark.django_db


def found():
    return {m.id: m for m in run_checks() if m.id.startswith("scalekit.observability.")}


@pytest.mark.parametrize(
    ("middleware", "ids"),
    [
        ([], set()),
        ([COMMON], set()),
        ([REQUEST, COMMON], set()),
        ([HEALTH, REQUEST, COMMON], set()),
        ([COMMON, REQUEST], {"scalekit.observability.W001"}),
        ([HEALTH, COMMON, REQUEST], {"scalekit.observability.W001"}),
    ],
)
def test_place_of_the_middleware(settings, middleware, ids):
    settings.MIDDLEWARE = middleware
    assert set(found()) == ids


@pytest.fixture
def without_prometheus(monkeypatch):
    meters.client.cache_clear()
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    yield
    meters.client.cache_clear()


def test_missing_library_is_an_error_that_says_what_to_install(settings, without_prometheus):
    settings.SCALEKIT_METRICS_TOKEN = "a-token"
    message = found()["scalekit.observability.E001"].msg
    assert 'pip install "django-scalekit[metrics]"' in message


def test_missing_library_costs_no_request_and_a_scrape_says_so(
    settings, without_prometheus, client
):
    settings.ROOT_URLCONF = "tests.observability.sample_site"
    settings.MIDDLEWARE = [REQUEST]
    settings.SCALEKIT_METRICS_TOKEN = "a-token"
    assert client.get("/hello").status_code == 200
    response = client.get("/metrics", headers={"authorization": "Bearer a-token"})
    assert response.status_code == 503
    assert b"pip install" in response.content
    with pytest.raises(MetricsUnavailable):
        meters.client()


def test_folder_that_is_missing_is_an_error(settings, monkeypatch, tmp_path):
    settings.SCALEKIT_METRICS_TOKEN = "a-token"
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "missing"))
    assert "mkdir -p" in found()["scalekit.observability.E002"].hint
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    assert found() == {}


def test_wrong_network_is_one_error_and_no_crash(settings):
    settings.SCALEKIT_METRICS_NETWORKS = ["10.0.0.0/64"]
    metrics.switch()
    assert [m.id for m in run_checks() if "NETWORKS" in m.msg] == ["scalekit.core.E002"]
    assert found() == {}
