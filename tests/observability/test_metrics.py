from __future__ import annotations

import pytest
from django.test import Client, override_settings
from prometheus_client.parser import text_string_to_metric_families

from scalekit.core.context import unit_of_work
from scalekit.core.events import Event, events
from scalekit.observability import metrics, queries
from scalekit.observability.exposition import exposition
from scalekit.observability.meters import OVERFLOW, Meter, counter
from tests.core.serving import serve_asgi, serve_wsgi

REQUEST = "scalekit.observability.middleware.RequestMiddleware"
SECONDS = "scalekit_http_request_duration_seconds"
both = pytest.mark.parametrize("serve", [serve_wsgi, serve_asgi], ids=["wsgi", "asgi"])


@pytest.fixture(autouse=True)
def site(settings):
    settings.ROOT_URLCONF = "tests.observability.sample_site"
    settings.DEBUG = False
    settings.MIDDLEWARE = [REQUEST]
    settings.SCALEKIT_METRICS_NETWORKS = ["127.0.0.0/8"]
    return settings


@pytest.fixture
def sample_event():
    event = Event("sample_sold", "Sold.", labels=("shop",), seconds="duration")
    yield event
    del events["sample_sold"]
    # the meters of an event live as long as the process


def scraped():
    """Return every sample of a scrape: {(name, labels): value}."""
    text = exposition("")[0].decode()
    families = text_string_to_metric_families(text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(name, **labels):
    return scraped().get((name, frozenset(labels.items())), 0)


@pytest.fixture
def sample_level():
    event = Event("sample_depth", "Waiting.", labels=("queue",), gauge="jobs")
    yield event
    del events["sample_depth"]


def test_event_that_tells_a_level_is_a_gauge_of_the_last_one(sample_level):
    metrics.switch()
    for jobs in (7, 3):
        sample_level.emit(queue="mail", jobs=jobs)
    assert value("scalekit_sample_depth", queue="mail") == 3
    assert "scalekit_sample_depth_total" not in {name for name, _ in scraped()}


@both
@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        ("/users/7", "/users/<int:pk>", "200"),
        ("/raises/value", "/raises/<what>", "500"),
        ("/nothing/here", "(unmatched)", "404"),
    ],
)
def test_a_request_is_measured_once_failing_or_not(serve, path, route, status):
    labels = {"method": "GET", "route": route, "status": status}
    before = value(f"{SECONDS}_count", **labels)
    serve(path)
    assert value(f"{SECONDS}_count", **labels) - before == 1


def test_stream_is_measured_to_its_end():
    labels = {"method": "GET", "route": "/slow-stream", "status": "200"}
    before = value(f"{SECONDS}_sum", **labels)
    serve_wsgi("/slow-stream")
    assert value(f"{SECONDS}_sum", **labels) - before >= 0.15


def test_buckets_are_those_of_opentelemetry():
    serve_wsgi("/hello")
    bounds = {dict(labels)["le"] for name, labels in scraped() if name == f"{SECONDS}_bucket"}
    assert bounds == {
        *("0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "0.75"),
        *("1.0", "2.5", "5.0", "7.5", "10.0", "+Inf"),
    }


def test_no_request_stays_in_progress(site):
    for path in ("/hello", "/raises/value", "/broken-stream", "/slow-stream"):
        serve_wsgi(path, chunks=1)
    with pytest.raises(SystemExit):
        serve_wsgi("/raises/exit")
    assert value("scalekit_http_requests_in_progress") == 0


def test_ten_thousand_odd_requests_make_few_series(client):
    def series():
        return {key for key in scraped() if key[0] == f"{SECONDS}_count"}

    before = series()
    for i in range(300):
        client.generic(f"M{i}", f"/random/{i}", headers={"host": f"h{i}.example"})
    assert len(series() - before) <= 1


def test_queries_are_timed_by_database(client, db):
    before = value("scalekit_db_query_duration_seconds_count", alias="default")
    client.get("/queries")
    assert value("scalekit_db_query_duration_seconds_count", alias="default") - before == 2


def test_queries_outside_a_unit_of_work_are_not_counted(db):
    from django.contrib.auth.models import Group

    queries.count_queries()
    before = value("scalekit_db_query_duration_seconds_count", alias="default")
    Group.objects.count()
    assert value("scalekit_db_query_duration_seconds_count", alias="default") == before
    with unit_of_work():
        Group.objects.count()
    assert value("scalekit_db_query_duration_seconds_count", alias="default") - before == 1


def test_every_event_is_a_counter_and_a_histogram_if_it_takes_time(sample_event):
    before = value("scalekit_sample_sold_total", shop="north")
    sample_event.emit(shop="north", duration=0.03, customer="Ada")
    assert value("scalekit_sample_sold_total", shop="north") - before == 1
    assert value("scalekit_sample_sold_seconds_count", shop="north") >= 1
    assert value("scalekit_sample_sold_seconds_bucket", shop="north", le="0.05") >= 1


def test_event_without_its_label_or_duration_is_still_counted(sample_event):
    before = value("scalekit_sample_sold_total", shop="")
    sample_event.emit()
    assert value("scalekit_sample_sold_total", shop="") - before == 1


def test_nothing_is_counted_once_nobody_may_read(sample_event, site):
    sample_event.emit(shop="north")
    before = value("scalekit_sample_sold_total", shop="north")
    with override_settings(SCALEKIT_METRICS_NETWORKS=[]):
        sample_event.emit(shop="north")
    assert value("scalekit_sample_sold_total", shop="north") == before
    sample_event.emit(shop="north")
    assert value("scalekit_sample_sold_total", shop="north") == before + 1


def test_labels_are_bounded_and_what_overflows_is_counted():
    meter = counter("sample_bounded", "Bounded.", ("user",))
    with override_settings(SCALEKIT_METRICS_MAX_VALUES=10):
        for i in range(1000):
            meter.at(f"user-{i}").inc()
    values = {
        dict(labels)["user"]: n
        for (name, labels), n in scraped().items()
        if name == "scalekit_sample_bounded_total"
    }
    assert len(values) == 11
    assert values[OVERFLOW] == 990
    assert value("scalekit_metric_overflow_total", metric="scalekit_sample_bounded") == 990


@pytest.mark.parametrize(
    "hostile", ['a"\n\\}', "a\ud800", "\x00", "é\u2028", "x" * 10_000, None, 7]
)
def test_any_label_value_leaves_the_scrape_readable(hostile):
    counter("sample_hostile", "Hostile.", ("value",)).at(hostile).inc()
    assert any(name == "scalekit_sample_hostile_total" for name, _ in scraped())


def test_the_counter_of_overflows_is_bounded_too():
    with override_settings(SCALEKIT_METRICS_MAX_VALUES=1):
        for name in ("sample_first", "sample_second", "sample_third"):
            for value_ in "ab":
                counter(name, "Sample.", ("value",)).at(value_).inc()
    assert value("scalekit_metric_overflow_total", metric=OVERFLOW) >= 1


def test_a_meter_that_cannot_be_written_breaks_nothing(client, caplog, monkeypatch):
    def full(self, *values):
        raise OSError("no space left on device")

    monkeypatch.setattr(Meter, "at", full)
    assert client.get("/hello").status_code == 200
    assert "no space left" in caplog.text


@pytest.mark.parametrize("content_length", ["-5", "abc", ""])
def test_odd_content_length_is_no_error(rf, content_length):
    from scalekit.observability.middleware import RequestMiddleware
    from tests.observability.sample_site import hello

    request = rf.post("/hello", b"x", content_type="text/plain")
    request.META["CONTENT_LENGTH"] = content_length
    assert RequestMiddleware(hello)(request).status_code == 200


def test_openmetrics_is_spoken_where_asked_for():
    body, content_type = exposition("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_switching_twice_counts_once(sample_event):
    metrics.switch()
    metrics.switch()
    before = value("scalekit_sample_sold_total", shop="twice")
    sample_event.emit(shop="twice")
    assert value("scalekit_sample_sold_total", shop="twice") - before == 1


@pytest.fixture
def client():
    return Client(raise_request_exception=False)
