from __future__ import annotations

import re
import threading

import pytest

from scalekit.observability.facts import is_request_id
from scalekit.testing.servers import ServerError


@pytest.fixture
def balanced(scalekit_servers, origin):
    webs = [origin("web_1"), origin("web_2")]
    return scalekit_servers.load_balancer("lb", [web.address for web in webs]), webs


def test_nginx_serves_a_configuration_of_ones_own(scalekit_servers, fetch):
    nginx = scalekit_servers.nginx("own", "server { listen @{address}; return 200 $server_port; }")
    assert fetch(nginx, "/").body == str(nginx.port).encode()


def test_configuration_that_nginx_refuses_is_quoted(scalekit_servers):
    with pytest.raises(ServerError, match='unknown directive "lisssten"'):
        scalekit_servers.nginx("own", "server { lisssten 80; }")


def test_balancer_spreads_requests(balanced, fetch):
    balancer, _ = balanced
    assert {fetch(balancer, "/").json["name"] for _ in range(4)} == {"web_1", "web_2"}


def test_dead_web_server_costs_no_request(balanced, fetch):
    balancer, (web_1, _) = balanced
    web_1.kill()
    assert [fetch(balancer, "/", method).status for method in ("GET", "POST") * 4] == [200] * 8


def answering(servers, status):
    return servers.nginx("failing", f"server {{ listen @{{address}}; return {status}; }}")


def test_failing_web_server_is_covered_by_the_next(scalekit_servers, origin, fetch):
    failing = answering(scalekit_servers, 502)
    balancer = scalekit_servers.load_balancer("lb", [failing.address, origin("web").address])
    assert [fetch(balancer, "/").status for _ in range(3)] == [200] * 3


def test_a_503_is_the_site_s_answer_and_puts_no_server_out(scalekit_servers, fetch):
    refusing = answering(scalekit_servers, 503)
    balancer = scalekit_servers.load_balancer("lb", [refusing.address])
    assert [fetch(balancer, "/").status for _ in range(3)] == [503] * 3


def test_hanging_web_server_is_covered_by_the_next(scalekit_servers, origin, fetch):
    webs = [origin("web_1"), origin("web_2")]
    balancer = scalekit_servers.load_balancer("lb", [web.address for web in webs], read_timeout=1)
    with webs[0].frozen():
        assert {fetch(balancer, "/").json["name"] for _ in range(3)} == {"web_2"}


def test_get_that_a_dying_server_took_is_asked_of_the_next(balanced, fetch):
    balancer, webs = balanced
    assert fetch(balancer, "/die").status == 502
    balancer.waits.until(lambda: not any(web.running for web in webs), "the end of both")


def test_post_that_a_server_took_is_not_sent_twice(balanced, fetch):
    balancer, webs = balanced
    assert fetch(balancer, "/drop", "POST", body=b"once").status == 502
    assert sorted(fetch(web, "/").json["answered"] for web in webs) == [1, 2]


def test_revived_web_server_is_used_again(scalekit_servers, origin, fetch):
    webs = [origin("web_1"), origin("web_2")]
    balancer = scalekit_servers.load_balancer("lb", [web.address for web in webs], retry_after=1)
    webs[0].kill()
    assert {fetch(balancer, "/").json["name"] for _ in range(3)} == {"web_2"}
    webs[0].start()
    balancer.waits.until(lambda: fetch(balancer, "/").json["name"] == "web_1", "its return")


def test_request_id_is_made_where_none_came(balanced, fetch):
    made = fetch(balanced[0], "/").json["headers"]["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", made)


@pytest.mark.parametrize("given", ["trace-0123456789", "a@b", "_", "x" * 128])
def test_request_id_that_the_web_server_would_keep_is_kept(balanced, fetch, given):
    assert is_request_id(given)
    assert fetch(balanced[0], "/", X_Request_ID=given).json["headers"]["x-request-id"] == given


@pytest.mark.parametrize("forged", ['a"b\\nX: 1234567', "a b", "a=b", "x" * 129])
def test_request_id_that_could_forge_a_log_line_is_replaced(balanced, fetch, forged):
    assert not is_request_id(forged)
    headers = fetch(balanced[0], "/", X_Request_ID=forged).json["headers"]
    assert re.fullmatch("[0-9a-f]{32}", headers["x-request-id"])


def test_web_server_learns_who_asked_and_how(balanced, fetch):
    headers = fetch(balanced[0], "/", Host="photos.example").json["headers"]
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert headers["host"] == "photos.example"


def test_visitor_cannot_name_another_host(balanced, edge, fetch):
    for server, path in ((balanced[0], "/"), (edge[0], "/static/app.css")):
        assert "x-forwarded-host" not in fetch(server, path, X_Forwarded_Host="x").json["headers"]


def test_access_log_says_which_server_answered(balanced, fetch):
    balancer, webs = balanced
    answer = fetch(balancer, "/page?x=%22").json
    balancer.waits.until(lambda: balancer.requests() != [], "the log line")
    (entry,) = balancer.requests()
    assert entry["upstream"] == {"web_1": webs[0], "web_2": webs[1]}[answer["name"]].address
    assert (entry["method"], entry["uri"], entry["status"]) == ("GET", "/page?x=%22", 200)
    assert entry["request_id"] == answer["headers"]["x-request-id"]
    assert 0 <= entry["seconds"] < 20


def test_reload_changes_the_upstreams_without_losing_a_request(balanced, fetch):
    balancer, webs = balanced
    done, statuses = threading.Event(), []

    def ask():
        while not done.is_set():
            statuses.append(fetch(balancer, "/").status)

    visitor = threading.Thread(target=ask)
    visitor.start()
    try:
        balancer.reload([webs[1].address])
        names = {fetch(balancer, "/").json["name"] for _ in range(4)}
    finally:
        done.set()
        visitor.join()
    assert names == {"web_2"}
    assert set(statuses) == {200}


def test_balancer_without_upstream_is_refused(scalekit_servers):
    with pytest.raises(ServerError, match="no upstream"):
        scalekit_servers.load_balancer("lb", [])


@pytest.fixture
def edge(scalekit_servers, origin):
    web = origin("web")
    return scalekit_servers.cdn_edge("cdn", web.address, prefixes=["/static/", "/media/"]), web


CACHED = "/static/app.css?cache=public,max-age=3600"


def test_second_visitor_is_served_from_the_edge(edge, fetch):
    first, second = (fetch(edge[0], CACHED) for _ in range(2))
    assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("MISS", "HIT")
    assert first.body == second.body
    assert second.headers["Cache-Control"] == "public,max-age=3600"


@pytest.mark.parametrize("rule", ["", "?cache=no-store", "?cache=private,max-age=60"])
def test_edge_keeps_nothing_that_the_origin_did_not_allow(edge, fetch, rule):
    answers = [fetch(edge[0], f"/static/app.css{rule}") for _ in range(2)]
    assert [answer.json["answered"] for answer in answers] == [1, 2]


def test_stale_file_is_served_while_the_origin_is_dead(edge, fetch):
    cdn, web = edge
    path = "/static/app.css?cache=public,max-age=1"
    fresh = fetch(cdn, path)
    web.kill()
    cdn.waits.until(lambda: fetch(cdn, path).headers["X-Cache"] != "HIT", "the end of its age")
    stale = fetch(cdn, path)
    assert (stale.status, stale.headers["X-Cache"], stale.body) == (200, "STALE", fresh.body)


def test_missing_file_is_remembered_nowhere(edge, fetch):
    answers = [fetch(edge[0], "/static/new.css?status=404&cache=max-age=60") for _ in range(2)]
    assert [answer.json["answered"] for answer in answers] == [1, 2]
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}


def test_edge_answers_for_its_prefixes_only(edge, fetch):
    answer = fetch(edge[0], "/accounts/")
    assert (answer.status, answer.headers["Cache-Control"]) == (404, "no-store")
    assert fetch(edge[0], CACHED, "POST").status == 403


def test_edge_of_the_whole_site(scalekit_servers, origin, fetch):
    cdn = scalekit_servers.cdn_edge("cdn", origin("web").address, prefixes=["/"])
    assert fetch(cdn, "/anything").status == 200


def test_cookies_do_not_reach_the_origin(edge, fetch):
    cdn, web = edge
    headers = fetch(cdn, CACHED, Cookie="sessionid=secret").json["headers"]
    assert "cookie" not in headers
    assert headers["host"] == web.address


def test_purged_path_is_fetched_again_and_others_are_not(edge, fetch):
    cdn, _ = edge
    other = CACHED.replace("app", "other")
    for path in (CACHED, other):
        fetch(cdn, path)
    assert cdn.purge(CACHED)
    assert not cdn.purge("/static/never-asked")
    assert [fetch(cdn, path).headers["X-Cache"] for path in (CACHED, other)] == ["MISS", "HIT"]
    cdn.purge_all()
    assert fetch(cdn, other).headers["X-Cache"] == "MISS"


def test_access_log_of_the_edge_says_what_the_cache_did(edge, fetch):
    cdn, _ = edge
    for _ in range(2):
        fetch(cdn, CACHED)
    cdn.waits.until(lambda: len(cdn.requests()) == 2, "the log lines")
    assert [entry["cache"] for entry in cdn.requests()] == ["MISS", "HIT"]
