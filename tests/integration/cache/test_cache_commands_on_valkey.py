"""The commands, on a Valkey that several processes use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from scalekit.cache import cached
from scalekit.cache.statistics import sharing
from scalekit.cache.store import store_of
from scalekit.testing.cache import assert_cached, assert_loads, assert_not_cached, fresh_cache

pytestmark = pytest.mark.servers
ROOT = Path(__file__).resolve().parents[3]
NAME = f"{__name__}.square"
WORKER = """\
import django
django.setup()
from scalekit.cache import cached

from scalekit.cache.statistics import sharing
from scalekit.cache.store import store_of

@cached(ttl=60)
def counted(number):
    return number

for _ in range(5):
    counted(1)
sharing.share()
"""


@cached(ttl=60, tags=lambda number: [f"n:{number}"])
def square(number):
    return number * number


@cached(ttl=60)
async def cube(number):
    return number**3


@cached(ttl=60)
def failing(number):
    raise OSError(number)


@pytest.fixture(autouse=True)
def shared(valkey, settings):
    settings.CACHES = {
        "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": valkey.url},
        "local": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    }
    settings.SCALEKIT_CACHE_STATISTICS = "default"
    with fresh_cache():
        sharing.recorder.take()
        yield settings.CACHES["default"]["KEY_PREFIX"]


def said(capsys, *command, **options) -> str:
    call_command(*command, **options)
    return capsys.readouterr().out


def statistics(capsys) -> dict:
    return json.loads(said(capsys, "cache_stats", json=True))


def test_statistics_are_those_of_all_processes(shared, valkey, capsys, tmp_path):
    (tmp_path / "worker_settings.py").write_text(
        "from tests.settings import *\n"
        f"CACHES = {{'default': {{'BACKEND': 'django_redis.cache.RedisCache', 'LOCATION': {valkey.url!r},"
        f" 'KEY_PREFIX': {shared!r}}}}}\nSCALEKIT_CACHE_STATISTICS = 'default'\n"
    )
    env = {
        **os.environ,
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
        "DJANGO_SETTINGS_MODULE": "worker_settings",
    }
    workers = [subprocess.Popen([sys.executable, "-c", WORKER], env=env) for _ in range(2)]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    (found,) = statistics(capsys)["functions"]
    assert found["function"] == "__main__.counted"
    assert sum(found["reads"].values()) == 10
    assert found["loads"] == 1
    assert found["hit_ratio"] == 0.9


def test_the_keys_that_are_read_most_are_listed(capsys):
    for number in (1, 1, 1, 2):
        square(number)
    keys = statistics(capsys)["keys"]
    assert list(keys.values()) == [3, 1]
    assert all(NAME in key for key in keys)


def test_statistics_are_a_table(capsys):
    square(1)
    square(1)
    table = said(capsys, "cache_stats")
    assert "hits" in table.splitlines()[0]
    assert NAME in table
    assert "50.0%" in table
    assert "memory" in table


def calls_by_command() -> dict[str, int]:
    stats = store_of("default").server.client.info("commandstats")
    return {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}


def test_counting_a_hit_costs_no_command():
    cube_like(1)
    cube_like(1)
    before = calls_by_command()
    for _ in range(100):
        cube_like(1)
    after = calls_by_command()
    more = {name: count - before.get(name, 0) for name, count in after.items()}
    assert {name: count for name, count in more.items() if count} == {"get": 100, "info": 1}


@cached(ttl=60)
def cube_like(number):
    return number


def test_statistics_need_a_server_that_adds_up(settings):
    settings.SCALEKIT_CACHE_STATISTICS = "local"
    with pytest.raises(CommandError, match="no Redis or Valkey"):
        call_command("cache_stats")
    settings.SCALEKIT_CACHE_STATISTICS = "lost"
    with pytest.raises(CommandError, match="which has default, local"):
        call_command("cache_stats")


def test_a_call_is_invalidated_by_name(capsys):
    square(3)
    square(4)
    assert "would end" in said(
        capsys, "cache_invalidate", function=NAME, arguments=([3], {}), dry_run=True
    )
    assert_cached(square, 3)
    call_command("cache_invalidate", "--function", NAME, "--arguments", "[3]")
    assert_not_cached(square, 3)
    call_command("cache_invalidate", "--function", NAME, "--arguments", '{"number": 4}')
    assert_not_cached(square, 4)


class Shop:
    @cached(60)
    @classmethod
    def price(cls, number):
        return number


def test_a_class_method_is_invalidated_by_name():
    Shop.price(3)
    assert_cached(Shop.price, 3)
    call_command("cache_invalidate", "--function", f"{__name__}.Shop.price", "--arguments", "[3]")
    assert_not_cached(Shop.price, 3)


def test_all_values_of_a_function_are_invalidated(capsys):
    for number in range(1200):
        square(number)
    square_like(1)
    assert "would end 1200 values" in said(capsys, "cache_invalidate", function=NAME, dry_run=True)
    assert "ended 1200 values" in said(capsys, "cache_invalidate", function=NAME)
    assert_not_cached(square, 7)
    assert_cached(square_like, 1)


@cached(ttl=60)
def square_like(number):
    return number


def test_tags_are_invalidated(capsys):
    square(5)
    square(6)
    assert "would end n:5" in said(capsys, "cache_invalidate", tag=["n:5"], dry_run=True)
    assert_cached(square, 5)
    call_command("cache_invalidate", "--tag", "n:5")
    assert_not_cached(square, 5)
    assert_cached(square, 6)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "Name what is to end"),
        ({"arguments": ([], {})}, "name it"),
        ({"function": "nowhere.at.all", "arguments": ([], {})}, "no cached function"),
        ({"function": NAME, "alias": "lost"}, "CACHES has no 'lost'"),
        ({"function": NAME, "alias": "local"}, "cannot list its keys"),
        ({"model": ["nowhere.Model"]}, "nowhere"),
    ],
)
def test_a_wrong_invalidation_says_what_to_write(options, why):
    with pytest.raises(CommandError, match=why):
        call_command("cache_invalidate", **options)


def test_arguments_that_are_no_json_are_refused():
    with pytest.raises(CommandError, match=r"write '\[3\]'"):
        call_command("cache_invalidate", "--function", NAME, "--arguments", "3")


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize(
    "wrong",
    [
        {"function": "nowhere.at.all", "arguments": ([], {})},
        {"function": NAME, "arguments": ([1, 2, 3], {})},
        {"function": NAME, "arguments": ([], {"nothing": 1})},
        {"function": NAME, "alias": "lost"},
        {"function": NAME, "alias": "local"},
        {"function": f"{__name__}.keyed", "arguments": (["a"], {})},
    ],
)
def test_what_is_wrong_is_said_before_anything_is_ended(wrong, dry_run):
    square(5)
    with pytest.raises(CommandError):
        call_command("cache_invalidate", tag=["n:5"], dry_run=dry_run, **wrong)
    assert_cached(square, 5)


@cached(ttl=60, key=lambda number: number + 1)
def keyed(number):
    return number


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("cache_stats", {}),
        ("cache_invalidate", {"function": NAME}),
        ("cache_invalidate", {"tag": ["n:1"]}),
        ("cache_invalidate", {"function": NAME, "arguments": ([1], {})}),
    ],
)
def test_a_server_that_is_gone_is_no_success(scalekit_servers, settings, command, options):
    server = scalekit_servers.valkey("gone")
    settings.CACHES = {
        "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url}
    }
    server.kill()
    with pytest.raises(CommandError, match="answer"):
        call_command(command, **options)


def squares():
    return [(square, number) for number in range(50)]


def cubes():
    for number in range(3):
        yield cube, number


def mixed():
    yield square, 1
    yield failing, 2


def wrong():
    yield len, "abc"


def test_warmers_fill_the_cache_in_parallel(capsys):
    told = said(capsys, "cache_warm", f"{__name__}.squares", f"{__name__}.cubes", threads=3)
    assert f"{__name__}.squares: 50 ready, 0 failed" in told
    assert "3 ready" in told
    with assert_loads(0):
        assert square(49) == 49 * 49


def test_warming_loads_what_is_there_only_if_told_to(settings):
    settings.SCALEKIT_CACHE_WARMERS = [f"{__name__}.squares"]
    square(1)
    with assert_loads(49):
        call_command("cache_warm")
    with assert_loads(50):
        call_command("cache_warm", refresh=True)


def test_a_call_that_fails_fails_the_command_at_the_end(capsys):
    with pytest.raises(CommandError, match="mixed"):
        call_command("cache_warm", f"{__name__}.mixed")
    assert "1 ready, 1 failed" in capsys.readouterr().out
    assert_cached(square, 1)


@pytest.mark.parametrize("warmer", ["squares", "cubes"])
def test_a_cache_that_is_down_is_not_ready(scalekit_servers, settings, capsys, warmer):
    server = scalekit_servers.valkey("cold")
    settings.CACHES = {
        "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url}
    }
    settings.SCALEKIT_CACHE_BREAKER_SECONDS = 60
    server.kill()
    with pytest.raises(CommandError, match=warmer):
        call_command("cache_warm", f"{__name__}.{warmer}", threads=2)
    told = capsys.readouterr()
    assert " 0 ready" in told.out
    assert "CACHES['default'] does not answer" in told.err


def test_a_value_that_is_not_kept_is_not_ready(capsys):
    with pytest.raises(CommandError, match="nothings"):
        call_command("cache_warm", f"{__name__}.nothings")
    assert "is not in the cache" in capsys.readouterr().err


def nothings():
    yield nothing, 1


@cached(ttl=60, cache_none=False)
def nothing(number):
    return None


@pytest.mark.parametrize(
    ("warmers", "why"),
    [
        ([], "Name a warmer"),
        (["nowhere.warmers"], "nowhere"),
        ([f"{__name__}.wrong"], "let it yield"),
        ([f"{__name__}.NAME"], "no function"),
    ],
)
def test_a_wrong_warmer_says_what_to_write(warmers, why):
    with pytest.raises(CommandError, match=why):
        call_command("cache_warm", *warmers)


@pytest.mark.parametrize("command", ["cache_stats", "cache_invalidate", "cache_warm"])
def test_help_teaches(command, capsys):
    with pytest.raises(SystemExit):
        call_command(command, "--help")
    assert f"manage.py {command}" in capsys.readouterr().out
