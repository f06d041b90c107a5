"""`CachedQuerySet`: rows that are kept where the code asks for it, and end with any table they came from."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.models import (
    BooleanField,
    Exists,
    ExpressionWrapper,
    F,
    IntegerField,
    OuterRef,
    Prefetch,
    Value,
)
from django.test.utils import CaptureQueriesContext

from example_project.photos.models import Profile
from scalekit.cache import invalidate_tags
from scalekit.cache.exceptions import UncacheableArgument, UncacheableFunction, UnwatchedModel
from scalekit.cache.queries import _param, reading_of
from scalekit.cache.queryset import CachedQuerySet
from scalekit.testing.cache import assert_hits, assert_loads

pytestmark = pytest.mark.django_db
users, groups, permissions = (CachedQuerySet(model) for model in (User, Group, Permission))


@pytest.fixture(autouse=True)
def announced(settings):
    settings.SCALEKIT_CACHE_MODELS = ["*"]


@pytest.fixture
def names(transactional_db):
    for name in ("ana", "ben", "eva"):
        User.objects.create(username=name)
    return users.order_by("username")


def spelt(rows):
    return [row.username for row in rows]


def test_rows_are_kept_as_a_list_of_the_caller_s_own(names):
    first = names.cached(60)
    first[0].username = "spoilt"
    first.clear()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        again = names.cached(60)
    assert spelt(again) == ["ana", "ben", "eva"]
    assert len(queries) == 0


def test_each_query_has_its_own_rows(names):
    asked = [
        names.all(), names.filter(username="ana"), names.filter(username="ben"), names[:1], names[1:2],
        names.values("username"), names.values_list("username"), names.values_list("username", flat=True),
        names.values_list("username", named=True), names.only("username"), names.reverse(),
        names.using("default").exclude(username="ana"),
    ]  # fmt: skip
    for queryset in asked:
        assert repr(queryset.cached(60)) == repr(list(queryset))
    assert len({reading_of(queryset).place for queryset in asked}) == len(asked)


def test_the_same_sql_read_as_two_types_is_two_queries(names):
    places = {
        reading_of(users.annotate(x=ExpressionWrapper(Value(1), output_field=kind()))).place
        for kind in (BooleanField, IntegerField)
    }
    assert len(places) == 2


def test_a_query_that_cannot_match_asks_nobody(names):
    with assert_loads(0):
        assert names.none().cached(60) == []
        assert names.filter(pk__in=[]).cached(60) == []


@pytest.mark.parametrize(
    ("queryset", "models"),
    [
        (users.all(), {User}),
        (users.filter(groups__name="staff"), {User, Group}),
        (users.select_related("profile"), {User, Profile}),
        (users.filter(pk__in=Group.objects.values("pk")), {User, Group}),
        (users.filter(Exists(Permission.objects.filter(pk=OuterRef("pk")))), {User, Permission}),
        (users.annotate(n=F("profile__name")), {User, Profile}),
        (users.values("pk").union(Group.objects.values("pk")), {User, Group}),
        (users.prefetch_related("groups__permissions"), {User, Group, Permission, ContentType}),  # its ordering
        (users.prefetch_related("profile"), {User, Profile}),
        (groups.prefetch_related("user_set"), {Group, User}),
        (
            groups.prefetch_related(Prefetch("permissions", Permission.objects.select_related("content_type"))),
            {Group, Permission, ContentType},
        ),
    ],
)  # fmt: skip
def test_rows_depend_on_every_table_that_is_read(queryset, models):
    assert reading_of(queryset).models == models


def test_prefetches_by_other_querysets_are_other_queries():
    lookups = [
        "permissions",
        Prefetch("permissions", Permission.objects.filter(codename="add")),
        Prefetch("permissions", Permission.objects.filter(codename="change")),
        Prefetch("permissions", Permission.objects.filter(codename="add"), to_attr="some"),
    ]
    assert len({reading_of(groups.prefetch_related(lookup)).place for lookup in lookups}) == 4


def test_a_prefetch_that_nobody_can_follow_is_refused():
    with pytest.raises(
        UncacheableFunction, match="it cannot be told which tables 'nothing' of Group"
    ):
        groups.prefetch_related("nothing").cached(60)


def test_a_query_that_locks_is_refused():
    with pytest.raises(UncacheableFunction, match="select_for_update"):
        groups.select_for_update().cached(60)


def test_rows_end_with_any_write_to_a_table_they_came_from(names):
    with_groups = names.filter(groups__name="staff")
    assert with_groups.cached(60) == []
    ana = User.objects.get(username="ana")
    staff = Group.objects.create(name="staff")
    staff.user_set.add(ana)
    assert spelt(with_groups.cached(60)) == ["ana"]
    Group.objects.update(name="editors")
    assert with_groups.cached(60) == []


def test_a_table_whose_writes_are_not_announced_everywhere_is_refused(settings):
    settings.SCALEKIT_CACHE_MODELS = ["auth.User"]
    with pytest.raises(
        UnwatchedModel, match=r"User\.cached depends on auth\.Group.*Add 'auth\.Group'"
    ):
        users.filter(groups__name="x").cached(60)


def test_a_cache_in_which_writes_end_nothing_is_refused(settings):
    settings.CACHES = {**settings.CACHES, "pages": settings.CACHES["default"]}
    with pytest.raises(UncacheableFunction, match="Add 'pages' to SCALEKIT_CACHE_ALIASES"):
        users.all().cached(60, alias="pages")


def test_rows_are_kept_under_tags_too(names):
    names.cached(60, tags=["people"])
    with assert_hits(1):
        names.cached(60, tags=["people"])
    invalidate_tags("people")
    with assert_loads(1):
        names.cached(60, tags=["people"])


def test_coroutines_ask_for_the_same_rows(names):
    names.cached(60)
    with assert_hits(1):
        assert spelt(async_to_sync(names.acached)(60)) == ["ana", "ben", "eva"]
    assert async_to_sync(names.none().acached)(60) == []


def test_it_is_a_manager_s_queryset():
    manager = CachedQuerySet.as_manager()
    manager.model = Group
    assert isinstance(manager.filter(name="x"), CachedQuerySet)
    assert callable(manager.cached)


class Number(int):
    """As psycopg wraps integers."""


class Json:
    """As psycopg wraps JSON."""

    def __init__(self, obj):
        self.obj = obj


def test_parameters_are_plain_data():
    assert _param(Number(7)) == 7
    assert type(_param(Number(7))) is int
    assert _param(True) is True
    assert _param([Json({"a": (1,)})]) == [(f"{__name__}.Json", {"a": [1]})]
    with pytest.raises(UncacheableArgument, match=r"key=\.\.\."):
        _param(object())
