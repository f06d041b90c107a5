"""scatter() on PostgreSQL: random querysets, answered as by one database that holds the same rows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.db import connections

from scalekit.db.exceptions import ScatterUnsupported
from scalekit.db.sharding import threads
from scalekit.db.sharding.scatter import collations, comparing
from scalekit.db.sharding.scatter.judges import Judges
from tests.db import scatter_oracle
from tests.db.scatter_oracle import Question
from tests.db.scatter_questions import FurtherQuestion

pytestmark = pytest.mark.servers

QUESTIONS = 150  # of each kind, for each way to compare text


@pytest.fixture
def orders(sharded, monkeypatch):
    """Orders of shards and oracle; threads keep their connections, as in production."""
    from tests.db.shop.models import Order

    monkeypatch.setattr(threads, "is_testing", lambda: False)
    scatter_oracle.fill(300, seed=11)
    yield Order.objects
    threads.crew.dismiss()


def collate(collation):
    for alias in ("shard_0", "shard_1", scatter_oracle.ORACLE):
        with connections[alias].cursor() as cursor:
            cursor.execute(
                f'ALTER TABLE shop_order ALTER note TYPE varchar(50) COLLATE "{collation}"'
            )


def locale_collation():
    """Return the collation of a language, where the server was built with any."""
    with connections["shard_0"].cursor() as cursor:
        cursor.execute(
            "SELECT collname FROM pg_collation WHERE collname IN ('de-x-icu', 'de_DE.utf8')"
        )
        return (cursor.fetchone() or ["C"])[0]


def require_agreement(seed):
    for kind in (Question, FurtherQuestion):
        wrong, refused = scatter_oracle.disagreements(QUESTIONS, seed, kind)
        assert not wrong, "\n".join(wrong)
        assert len(refused) < QUESTIONS / 5, "\n".join(refused)


def test_text_compared_by_code_point(orders):
    require_agreement("code points")


def test_text_ranked_by_the_server(orders, monkeypatch):
    collate(locale_collation())
    known = collations.collation_of

    def ranked(*args):
        return replace(known(*args), binary=False)

    # Where the server has no language's collation, have it rank what Python could compare by itself.
    monkeypatch.setattr(
        comparing,
        "collation_of",
        lambda *args: ranked(*args) if known(*args).name else known(*args),
    )
    require_agreement("ranks")


def test_the_collation_is_that_of_a_shard_that_has_rows(orders):
    collate("POSIX")
    row = orders.using("shard_1").first()
    rows = orders.filter(note=row.note, items=row.items, customer_id=row.customer_id)
    column, judges = (
        orders.model._meta.get_field("note").get_col("shop_order"),
        Judges(["shard_0", "shard_1"]),
    )
    assert collations.collation_of(rows, column, judges).name == '"POSIX"'
    assert collations.collation_of(orders.filter(note="none"), column, judges) is collations.BINARY


def test_shards_that_sort_differently_are_found_out(orders, monkeypatch):
    """As when one server has a newer ICU than the other: here its ranks are turned round."""
    asked = collations.ranks

    def turned(texts, *args):
        ranks = asked(texts, *args)
        return {text: -rank for text, rank in ranks.items()}

    known = replace(collations.BINARY, name='"C"', binary=False)
    monkeypatch.setattr(comparing, "collation_of", lambda *args: known)
    assert len(list(orders.scatter().order_by("note"))) == 300
    monkeypatch.setattr(comparing, "ranks", turned)
    with pytest.raises(ScatterUnsupported, match="pg_collation_actual_version"):
        list(orders.scatter().order_by("note"))


def test_a_collation_that_takes_texts_for_equal_sorts_but_tells_nothing_apart(orders, monkeypatch):
    known = replace(collations.BINARY, name='"C"', deterministic=False)
    monkeypatch.setattr(comparing, "collation_of", lambda *args: known)
    assert len(orders.scatter().order_by("note")) == 300
    for rows in (
        orders.scatter().values_list("note").distinct(),
        orders.scatter().values("note").annotate(n=scatter_oracle.Count("pk")),
    ):
        with pytest.raises(ScatterUnsupported, match="tell which 'note'"):
            list(rows)
