from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import CommandError
from django.db import connections

from scalekit.db.conf import schemes
from scalekit.db.sharding.statistics import reading
from scalekit.db.sharding.statistics.fullness import skew
from tests.db.diary_databases import run


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [([5, 5, 5], 1.0), ([9, 0, 0], 3.0), ([4, 2], 4 / 3), ([0, 0], None), ([], None)],
)
def test_skew_is_the_fullest_over_the_mean(amounts, expected):
    assert skew(amounts) == expected


@pytest.fixture
def orders(shards):
    from tests.db.shop.models import Order

    for key in range(1, 20):
        Order.objects.create(customer_id=key)
    homes = [schemes["users"].shard_for(key) for key in range(1, 20)]
    return {alias: homes.count(alias) for alias in shards}


def test_each_shard_s_rows_are_shown_with_bars(orders):
    lines = run("shard_stats").splitlines()
    assert lines[0].startswith("users: skew ")
    shown = {line.split()[0]: line for line in lines[1:4]}
    for alias, rows in orders.items():
        assert f" {rows} rows" in shown[alias]
    assert "█" * 30 in shown[max(orders, key=orders.get)]
    assert "  shop_order" in lines


def test_json_is_for_programs(orders):
    found = json.loads(run("shard_stats", json=True))["users"]
    assert {alias: shard["rows"] for alias, shard in found["shards"].items()} == orders
    assert sum(shard["slots"] for shard in found["shards"].values()) == 4096
    assert found["shards"]["shard_0"]["tables"]["shop_order"]["rows"] == orders["shard_0"]
    assert found["skew"]["rows"] == pytest.approx(max(orders.values()) * 3 / 19)


def test_a_shard_that_is_down_is_named_and_the_others_are_shown(orders, capsys):
    connections.close_all()
    file = Path(connections["shard_1"].settings_dict["NAME"])
    file.unlink()
    file.mkdir()
    with pytest.raises(SystemExit) as stopped:
        run("shard_stats", stdout=None)
    assert stopped.value.code == 1
    said = capsys.readouterr().out
    assert "shard_1  Shard shard_1 did not answer" in said
    assert f" {orders['shard_2']} rows" in said


def test_a_shard_that_fails_without_a_word_is_named_too(orders, monkeypatch, capsys):
    def fail(alias, *_, **__):
        raise TimeoutError

    monkeypatch.setattr(reading, "_counted", fail)
    with pytest.raises(SystemExit):
        run("shard_stats", stdout=None)
    assert "shard_1  TimeoutError" in capsys.readouterr().out


def test_an_unknown_group_is_refused(shards):
    with pytest.raises(CommandError, match="no shard group 'user'"):
        run("shard_stats", group="user")
