"""What a cached function depends on, as names in its cache."""

from __future__ import annotations

import pytest
from django.db import connection
from django.utils.functional import SimpleLazyObject

from scalekit.cache import (
    UncacheableArgument,
    UncacheableFunction,
    UnwatchedModel,
    invalidate_tags,
)
from scalekit.cache.invalidation.base import Dependencies
from scalekit.cache.invalidation.watched import watched
from scalekit.cache.invalidation.watching import observe
from tests.cache.shop.models import Cafe, Country, Photo, PublicPhoto, Seat, Tag, Unrelated
from tests.cache.shop.recorder import plain

pytestmark = pytest.mark.usefixtures("photos")


def names(tags=(), depends_on=(), *args, **kwargs):
    return plain(Dependencies("default", tags, depends_on).names(args, kwargs))


def test_tags_are_names():
    assert names(["a", "b"]) == {"tag:a", "tag:b"}


def test_tags_may_depend_on_the_arguments():
    assert names(lambda user_id: [f"user:{user_id}"], (), 42) == {"tag:user:42"}


def test_a_tag_that_no_key_could_hold_is_a_digest():
    found = names(["a b", "é", "x" * 300])
    assert len(found) == 3
    assert all(len(name) < 60 and " " not in name for name in found)


def test_a_digest_meets_no_plain_tag():
    (digest,) = names(["a b"])
    assert names([digest.removeprefix("tag#")]) != {digest}


@pytest.mark.parametrize("item", [Photo, PublicPhoto, "gallery.Photo", "gallery.photo"])
def test_a_model_is_one_name(item):
    assert names((), [item]) == {"model:gallery.photo"}


def test_a_row_ends_by_itself_or_with_rows_unknown():
    row = {"row:gallery.photo:7", "rows:gallery.photo"}
    lazy = SimpleLazyObject(lambda: Photo(pk=7))
    for item in (Photo(pk=7), lazy, (Photo, 7), (Photo, "7"), ("gallery.photo", Photo(pk=7))):
        assert names((), [item]) == row


def test_rows_may_depend_on_the_arguments():
    found = names((), lambda pk: [(Photo, pk), Tag], 7)
    assert found == {"row:gallery.photo:7", "rows:gallery.photo", "model:gallery.tag"}


def test_one_instance_may_be_returned_alone():
    assert names((), lambda photo: photo, Photo(pk=7)) == names((), [(Photo, 7)])


def test_a_child_s_row_is_named_by_the_key_of_its_parent():
    assert names((), [(Cafe, 7)]) == {"row:gallery.cafe:7", "rows:gallery.cafe"}


def test_a_row_with_a_composite_key_has_a_name():
    assert len(names((), [(Seat, (1, 2))])) == 2


def test_a_key_that_a_collation_may_take_for_another_is_the_same_row():
    assert names((), [(Country, "peru")]) == names((), [(Country, "PERÚ ")])


@pytest.mark.parametrize(
    "item", [7, "photo", "gallery.nothing", Photo(), (Photo, None), (Photo, "x"), object]
)
def test_what_is_no_model_or_row_is_refused(item):
    with pytest.raises(UncacheableArgument, match="depends_on"):
        names((), [item])


@pytest.mark.parametrize("tags", ["user", 7])
def test_tags_must_be_a_list(tags):
    with pytest.raises(UncacheableFunction, match="list"):
        names(tags)


@pytest.mark.parametrize("depends_on", [Photo, "gallery.Photo"])
def test_depends_on_must_be_a_list(depends_on):
    with pytest.raises(UncacheableFunction, match="list"):
        names((), depends_on)


def test_a_function_that_returns_no_list_is_refused():
    with pytest.raises(UncacheableArgument, match="list"):
        names(lambda: "user")
    with pytest.raises(UncacheableArgument, match="list"):
        names((), Photo.objects.all)


def test_a_tag_must_be_a_string():
    with pytest.raises(UncacheableArgument, match="42"):
        invalidate_tags(42)


def test_a_model_whose_writes_nobody_announces_is_refused(settings):
    settings.SCALEKIT_CACHE_MODELS = ["gallery.Tag"]
    with pytest.raises(UnwatchedModel, match=r"gallery\.Unrelated.*SCALEKIT_CACHE_MODELS"):
        names((), [Unrelated])


@pytest.mark.parametrize("listed", [["gallery.unrelated"], ["gallery"], ["*"]])
def test_a_model_may_be_listed_by_its_app(settings, listed):
    settings.SCALEKIT_CACHE_MODELS = listed
    assert names((), [Unrelated]) == {"model:gallery.unrelated"}


def test_the_table_of_a_relation_may_be_depended_on_by_itself(settings):
    settings.SCALEKIT_CACHE_MODELS = ["gallery", "gallery.Photo_tags"]
    assert names((), [Photo.tags.through]) == {"model:gallery.photo_tags"}
    found = {
        target.model
        for target in watched.targets_of("gallery_photo_tags", "INSERT", cascades=False)
    }
    assert found == {Photo, Tag, Photo.tags.through}


def test_without_the_setting_a_process_watches_what_its_own_functions_depend_on(settings):
    settings.SCALEKIT_CACHE_MODELS = []
    function = Dependencies("default", (), ["gallery.Tag"])
    assert [target.model for target in watched.targets_of("gallery_tag", "UPDATE", cascades=False)]
    assert not list(watched.targets_of("gallery_unrelated", "UPDATE", cascades=False))
    del function


def test_names_follow_the_tenant(tenants):
    one = Dependencies("default", ["a"]).names((), {})
    tenants.set("two")
    assert Dependencies("default", ["a"]).names((), {}) != one
    tenants.set("public")


def test_every_connection_is_looked_at_once(settings):
    settings.SCALEKIT_CACHE_MODELS = ["gallery"]
    connection.close()
    connection.execute_wrappers.clear()
    for _ in range(2):
        connection.close()
        connection.ensure_connection()
    assert connection.execute_wrappers.count(observe) == 1
