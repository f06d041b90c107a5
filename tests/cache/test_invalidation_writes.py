"""Which names each way of writing ends."""

from __future__ import annotations

import uuid

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction
from django.db.models import F

from tests.cache.shop.models import (
    Cafe,
    Comment,
    Country,
    Note,
    Owner,
    Photo,
    Place,
    PublicPhoto,
    Seat,
    Tag,
    Unrelated,
    Upload,
)

pytestmark = pytest.mark.usefixtures("photos")


def any_of(*models):
    return {f"model:gallery.{model}" for model in models}


def row(model, pk):
    return {f"model:gallery.{model}", f"row:gallery.{model}:{pk}"}


def unknown(model):
    return {f"model:gallery.{model}", f"rows:gallery.{model}"}


def test_create_ends_the_new_row(told):
    photo = Photo.objects.create(title="sea")
    assert told.ended == row("photo", photo.pk)
    assert told.held == any_of("photo")


def test_save_ends_one_row(photo, told):
    photo.save()
    assert told.ended == told.held == row("photo", photo.pk)


def test_save_of_some_fields_ends_one_row(photo, told):
    photo.save(update_fields=["title"])
    assert told.ended == row("photo", photo.pk)


def test_delete_ends_the_row_and_what_goes_with_it(photo, told):
    pk = photo.pk
    photo.delete()
    assert told.ended == row("photo", pk) | unknown("comment") | unknown("note") | unknown("tag")


def test_update_by_key_ends_those_rows(photo, told):
    Photo.objects.filter(pk__in=[photo.pk, 9]).update(likes=1)
    assert told.ended == row("photo", photo.pk) | row("photo", 9)


def test_update_by_anything_else_ends_rows_unknown(photo, told):
    Photo.objects.filter(title="sea").update(likes=1)
    assert told.ended == unknown("photo")


def test_an_update_with_f_ends_its_row(photo, told):
    Photo.objects.filter(pk=photo.pk).update(likes=F("likes") + 1)
    assert told.ended == row("photo", photo.pk)


def test_bulk_update_ends_its_rows(photo, told):
    Photo.objects.bulk_update([photo], ["likes"])
    assert told.ended == row("photo", photo.pk)


def test_bulk_create_ends_rows_unknown_where_no_keys_are_given(told):
    Photo.objects.bulk_create([Photo(title="a"), Photo(title="b")])
    assert any_of("photo") < told.ended


def test_upsert_ends_rows_unknown(photo, told):
    Photo.objects.bulk_create(
        [Photo(title="sea", likes=2)],
        update_conflicts=True,
        unique_fields=["title"],
        update_fields=["likes"],
    )
    assert told.ended == unknown("photo")


def test_get_or_create_that_gets_ends_nothing(photo, told):
    Photo.objects.get_or_create(title="sea")
    assert told.told == []


def test_update_or_create_ends_one_row(photo, told):
    Photo.objects.update_or_create(title="sea", defaults={"likes": 3})
    assert told.ended == row("photo", photo.pk)


def test_raw_sql_ends_what_it_writes(photo, told):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE gallery_photo SET likes = 5 WHERE likes < %s", [3])
    assert told.ended == unknown("photo")


def test_executemany_ends_all_its_rows(photo, told):
    with connection.cursor() as cursor:
        cursor.executemany("UPDATE gallery_photo SET likes = %s WHERE id = %s", [(1, 4), (2, 5)])
    assert told.ended == row("photo", 4) | row("photo", 5)


def test_adding_to_a_relation_ends_both_sides_rows(photo, tag, told):
    photo.tags.add(tag)
    assert told.ended == row("photo", photo.pk) | row("tag", tag.pk)


def test_removing_from_a_relation_ends_both_sides_rows(photo, tag, told):
    photo.tags.add(tag)
    told.forget()
    tag.photos.remove(photo)
    assert told.ended == row("photo", photo.pk) | row("tag", tag.pk)


def test_clearing_a_relation_ends_one_side_s_row_and_the_other_s_unknown(photo, tag, told):
    photo.tags.add(tag)
    told.forget()
    photo.tags.clear()
    assert told.ended == row("photo", photo.pk) | unknown("tag")


def test_setting_a_relation_ends_what_changes(photo, tag, told):
    photo.tags.add(tag)
    other = Tag.objects.create(word="sun")
    told.forget()
    photo.tags.set([other])
    assert told.ended == row("photo", photo.pk) | row("tag", tag.pk) | row("tag", other.pk)


def test_a_symmetrical_relation_ends_both_rows(told):
    ann, bob = Owner.objects.create(name="Ann"), Owner.objects.create(name="Bob")
    told.forget()
    ann.friends.add(bob)
    assert told.ended == row("owner", ann.pk) | row("owner", bob.pk)


def test_a_cascade_reaches_what_hangs_on_what_goes(photo, told):
    photo.owner = Owner.objects.create(name="Ann")
    photo.save()
    Comment.objects.create(photo=photo, text="!")
    told.forget()
    photo.owner.delete()
    assert {"rows:gallery.comment", f"row:gallery.photo:{photo.pk}"} < told.ended


@pytest.mark.skipif(not hasattr(models, "DB_CASCADE"), reason="other version: Django 6.1 has it")
def test_what_the_database_deletes_by_itself_ends_too(photo, told):
    Note.objects.create(photo=photo)
    told.forget()
    Photo.objects.filter(title="sea")._raw_delete("default")
    assert "rows:gallery.note" in told.ended


def test_a_child_s_write_ends_the_parent_s_row(told):
    cafe = Cafe.objects.create(name="Sole", menu="tea")
    told.forget()
    cafe.save()
    assert told.ended == row("cafe", cafe.pk) | row("place", cafe.pk)


def test_a_parent_s_write_ends_the_child_s_row(told):
    cafe = Cafe.objects.create(name="Sole", menu="tea")
    told.forget()
    Place.objects.filter(pk=cafe.pk).update(name="Mare")
    assert told.ended == row("cafe", cafe.pk) | row("place", cafe.pk)


def test_a_proxy_s_write_is_its_model_s(photo, told):
    PublicPhoto.objects.get(pk=photo.pk).save()
    assert told.ended == row("photo", photo.pk)


def test_keys_that_python_makes_are_known_before(told):
    upload = Upload.objects.create(name="x")
    size = len(str(upload.pk))
    assert told.held == row("upload", f"u{size}:{upload.pk}")
    told.forget()
    Upload.objects.filter(pk=str(upload.pk)).update(name="y")
    assert told.ended == row("upload", f"u{size}:{upload.pk}")
    assert uuid.UUID(str(upload.pk)) == upload.pk


def test_rows_of_a_composite_key_are_not_told_apart(told):
    Seat.objects.create(line=1, number=2)
    assert told.ended == unknown("seat")


def test_parameters_that_come_only_once_are_left_to_the_statement(photo, told):
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE gallery_photo SET likes = %s WHERE id = %s", ((n, photo.pk) for n in (4, 5))
        )
    assert told.ended == unknown("photo")
    assert Photo.objects.get().likes == 5


def test_keys_that_a_collation_may_take_for_one_are_one(told):
    Country.objects.create(code="Pérú ", name="Peru")
    assert told.ended == row("country", "s4:peru")


def test_more_rows_than_can_be_told_are_unknown(told):
    Photo.objects.filter(pk__in=range(200)).update(likes=1)
    assert told.ended == unknown("photo")


def test_flush_ends_everything(photo, told):
    call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=True)
    assert unknown("photo") | unknown("tag") <= told.ended


def test_reading_tells_nothing(photo, told):
    with transaction.atomic():
        list(Photo.objects.select_for_update().select_related("owner").prefetch_related("tags"))
    assert told.told == []


def test_what_nothing_depends_on_tells_nothing(settings, told):
    settings.SCALEKIT_CACHE_MODELS = ["gallery.Photo"]
    Unrelated.objects.create(name="x")
    assert told.told == []


def test_autocommit_holds_before_and_releases_after(photo, told):
    Photo.objects.filter(pk=photo.pk).update(likes=1)
    assert told.words == ["hold", "changed"]


def test_a_write_that_the_database_refuses_ends_nothing(photo, told):
    with pytest.raises(IntegrityError):
        Photo.objects.create(title="sea")
    assert told.words == ["hold", "unchanged"]
