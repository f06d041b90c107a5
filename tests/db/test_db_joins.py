"""A join that a shard's database could not make is refused where it is written, with the remedy."""

from __future__ import annotations

from warnings import catch_warnings

import pytest
from django.core.exceptions import FieldError
from django.db.models import Count, Exists, F, FilteredRelation, OuterRef, Q, Subquery

from scalekit.db import LooseForeignKey
from scalekit.db.exceptions import CrossShardQuery
from scalekit.db.sharding.checks import faults_of_model
from tests.db.club_databases import club, club_databases, files


@pytest.fixture
def sharded_club(tmp_path):
    with club_databases(files(tmp_path, "default", "a", "b"), "a", "b"):
        yield


@pytest.fixture
def plain_club(tmp_path):
    with club_databases(files(tmp_path, "default")):
        yield


def members():
    return club().Member.objects.filter(family=7)


def visits():
    return club().Visit.objects.filter(family=7)


CROSSING = {
    "filter": lambda: members().filter(town__name="x"),
    "filter by lookup": lambda: members().filter(town__name__startswith="x"),
    "exclude": lambda: members().exclude(town__name="x"),
    "or": lambda: members().filter(Q(name="x") | Q(town__name="x")),
    "order_by": lambda: members().order_by("-town__name"),
    "order_by an expression": lambda: members().order_by("name").annotate(t=F("town__name")),
    "order_by a relation that is ordered": lambda: members().order_by("town"),
    "values": lambda: members().values("town__name"),
    "values_list": lambda: members().values_list("email", "town__name"),
    "annotate": lambda: members().annotate(where=F("town__name")),
    "alias": lambda: members().alias(where=F("town__name")),
    "aggregate": lambda: members().aggregate(n=Count("town__name")),
    "distinct": lambda: members().order_by("town__name").distinct("town__name"),
    "distinct alone": lambda: members().distinct("town__name"),
    "select_related": lambda: members().select_related("town"),
    "select_related through a row of the shard": lambda: visits().select_related("member__town"),
    "through a row of the shard": lambda: visits().filter(member__town__name="x"),
    "back from an unsharded row": lambda: members().filter(nicknames__text="x"),
    "count of unsharded rows": lambda: members().annotate(n=Count("nicknames")),
    "another group": lambda: members().filter(badges__region="x"),
    "to another group": lambda: club().Badge.objects.filter(region="n", member__name="x"),
    "filtered relation": lambda: (
        members()
        .annotate(nick=FilteredRelation("nicknames", condition=Q(nicknames__text="x")))
        .filter(nick__text="x")
    ),
    "back from a reference table": lambda: members().filter(sport__members__name="x"),
    "scatter": lambda: club().Member.objects.scatter().filter(town__name="x"),
    "scatter by order": lambda: club().Member.objects.scatter().order_by("town__name"),
    "get": lambda: club().Member.objects.get(family=7, town__name="x"),
    "a subquery on an unsharded model": lambda: members().filter(
        name__in=club().Town.objects.values("name")
    ),
    "exists of an unsharded model": lambda: members().filter(Exists(club().Town.objects.all())),
    "a subquery as a value": lambda: members().annotate(
        t=Subquery(club().Town.objects.filter(pk=OuterRef("town_id")).values("name"))
    ),
    "a subquery of another group": lambda: members().filter(
        Exists(club().Badge.objects.filter(region="n"))
    ),
    "union": lambda: members().values("name").union(club().Town.objects.order_by().values("name")),
    "intersection": lambda: (
        members().values("name").intersection(club().Badge.objects.values("region"))
    ),
}


@pytest.mark.parametrize("build", CROSSING.values(), ids=CROSSING)
def test_what_leaves_the_shard_is_refused_when_the_query_is_built(sharded_club, build):
    with pytest.raises(CrossShardQuery):
        build()


FROM_OUTSIDE = {
    "filter": lambda: club().Town.objects.filter(members__name="x"),
    "exclude": lambda: club().Town.objects.exclude(members__name="x"),
    "annotate": lambda: club().Town.objects.annotate(n=Count("members")),
    "values": lambda: club().Town.objects.values("members__name"),
    "exists": lambda: club().Town.objects.filter(
        Exists(club().Member.objects.filter(town=OuterRef("pk")))
    ),
    "in": lambda: club().Town.objects.filter(pk__in=club().Member.objects.values("town")),
    "a subquery as a value": lambda: club().Town.objects.annotate(
        m=Subquery(club().Member.objects.values("name")[:1])
    ),
    "back from a reference table": lambda: club().Sport.objects.annotate(n=Count("members")),
    "from a reference table": lambda: club().Sport.objects.filter(
        Exists(club().Member.objects.filter(sport=OuterRef("pk")))
    ),
}


@pytest.mark.parametrize("build", FROM_OUTSIDE.values(), ids=FROM_OUTSIDE)
def test_an_unsharded_query_cannot_join_sharded_rows(sharded_club, build):
    with pytest.raises(CrossShardQuery, match="list"):
        build()


@pytest.mark.parametrize(
    "build",
    [
        lambda: club().Nickname.objects.filter(member__name="x"),
        lambda: club().Nickname.objects.select_related("member"),
        lambda: club().Town.objects.values("name").union(members().values("name")),
    ],
    ids=["forward", "select_related", "union"],
)
def test_what_django_decides_when_the_query_runs_is_refused_before_it_is_sent(sharded_club, build):
    with pytest.raises(CrossShardQuery):
        list(build())


ON_THE_SHARD = {
    "the foreign key's own column": lambda: members().filter(town__id=3, town=3),
    "in": lambda: members().filter(town__in=[3]),
    "order by it": lambda: members().order_by("town_id", "town__pk"),
    "values of it": lambda: members().values("town", "town__id"),
    "a reference table": lambda: members().filter(sport__name="x").select_related("sport"),
    "a subquery on a reference table": lambda: members().filter(
        sport__in=club().Sport.objects.filter(name="x")
    ),
    "within the reference tables": lambda: members().filter(sport__kin__name="x"),
    "rows of the shard": lambda: visits().filter(member__name="x").select_related("member"),
    "back to rows of the shard": lambda: members().filter(visits__paid=1).order_by("visits__paid"),
    "exclude through them": lambda: members().exclude(visits__paid=1),
    "an unsharded row by its own table": lambda: club().Nickname.objects.filter(member=3),
    "with nothing to join": lambda: club().Town.objects.filter(name="x"),
}


@pytest.mark.parametrize("build", ON_THE_SHARD.values(), ids=ON_THE_SHARD)
def test_what_stays_on_the_shard_is_let_through(sharded_club, build):
    assert list(build()) == []


def test_related_rows_of_another_database_are_read_by_queries_of_their_own(sharded_club):
    town = club().Town.objects.create(name="Ulm")
    member = club().Member.objects.create(family=7, email="a@b.de", town=town)
    nickname = club().Nickname.objects.create(member=member, text="Al")
    assert members().prefetch_related("town").get().town == town
    assert members().get().town == town
    assert list(member.nicknames.all()) == [nickname]
    assert club().Nickname.objects.get().member == member
    assert [list(m.nicknames.all()) for m in members().prefetch_related("nicknames")] == [
        [nickname]
    ]


@pytest.mark.parametrize(
    ("build", "remedy"),
    [
        (CROSSING["select_related"], r"prefetch_related\(\)"),
        (CROSSING["filter"], "ReferenceModel"),
        (CROSSING["back from a reference table"], r"Member\.objects\.scatter\(\)"),
        (CROSSING["union"], r"\[\*one, \*other\]"),
        (FROM_OUTSIDE["filter"], r"Member\.objects\.scatter\(\)"),
    ],
)
def test_a_refusal_says_what_to_write(sharded_club, build, remedy):
    with pytest.raises(CrossShardQuery, match=remedy):
        build()


def test_the_order_of_a_model_is_looked_at_when_the_query_runs(sharded_club, monkeypatch):
    monkeypatch.setattr(club().Member._meta, "ordering", ["town__name"])
    with pytest.raises(CrossShardQuery):
        list(members())
    assert list(members().order_by("pk")) == []


def test_an_order_by_another_database_is_found_by_the_checks(sharded_club, monkeypatch):
    assert [f for m in (club().Member, club().Visit) for f in faults_of_model(m)] == []
    monkeypatch.setattr(club().Member._meta, "ordering", ["town__name"])
    assert [f.id for f in faults_of_model(club().Member)] == ["scalekit.db.E040"]


def test_select_related_of_everything_required_is_refused_where_that_leaves_the_shard(
    sharded_club, monkeypatch
):
    monkeypatch.setattr(club().Visit._meta.get_field("member"), "null", False)
    with catch_warnings(action="ignore"):  # deprecated from Django 6.1 on
        assert list(visits().select_related()) == []
        monkeypatch.setattr(club().Member._meta.get_field("town"), "null", False)
        with pytest.raises(CrossShardQuery):
            visits().select_related()


def test_a_misspelt_name_is_still_django_s_affair(sharded_club):
    with pytest.raises(FieldError):
        list(members().order_by("nme__x"))
    with pytest.raises(FieldError):
        list(members().select_related("twn"))


@pytest.mark.parametrize("name", set(CROSSING) - {"distinct", "distinct alone", "get"})
def test_until_sharding_is_switched_on_all_of_it_works(plain_club, name):
    found = CROSSING[name]()
    assert isinstance(found, dict) or list(found) == []


@pytest.mark.parametrize("build", FROM_OUTSIDE.values(), ids=FROM_OUTSIDE)
def test_until_sharding_is_switched_on_unsharded_rows_join_them(plain_club, build):
    assert list(build()) == []


def test_a_loose_foreign_key_has_neither_a_constraint_nor_a_cascade():
    from django.db.models import CASCADE

    for options in ({"on_delete": CASCADE}, {"db_constraint": True}):
        with pytest.raises(ValueError, match="leave out"):
            LooseForeignKey("x.Y", **options)


def test_a_loose_foreign_key_is_written_into_migrations(sharded_club):
    field = club().Member._meta.get_field("town")
    _, path, _, kwargs = field.deconstruct()
    assert path == "scalekit.db.LooseForeignKey"
    assert "db_constraint" not in kwargs
    assert LooseForeignKey(**kwargs).db_constraint is False
