from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from example_project.photos.models import Comment, Follow, Like, Photo
from example_project.photos.samples import PEOPLE, PHOTOGRAPHS, SAMPLES

SMALL = {"people": 4, "photos": 6}


def seed(**options):
    out = StringIO()
    call_command("seed_photos", stdout=out, **(SMALL | options))
    return out.getvalue()


def totals():
    models = (get_user_model(), Follow, Photo, Like, Comment)
    return [model.objects.count() for model in models]


@pytest.mark.django_db
def test_seed_fills_the_site_once():
    said = seed()
    assert "ada / sunprint-demo" in said
    before = totals()
    assert all(before)
    assert "(0 of them new)" in seed()
    assert totals() == before
    assert not Photo.objects.filter(thumbnail="").exists()


@pytest.mark.django_db
@pytest.mark.parametrize("inline", [False, True])
def test_same_number_same_site(inline):
    seed(seed=7, inline=inline)
    captions = list(Photo.objects.order_by("id").values_list("caption", flat=True))
    Photo.objects.all().delete()
    seed(seed=7, inline=inline)
    assert list(Photo.objects.order_by("id").values_list("caption", flat=True)) == captions


@pytest.mark.django_db
def test_counters_match_what_they_count():
    seed()
    for photo in Photo.objects.all():
        assert (photo.like_count, photo.comment_count) == (
            photo.likes.count(),
            photo.comments.count(),
        )


@pytest.mark.django_db
def test_known_login_works(client):
    seed(password="other")
    assert client.login(username="ada", password="other")


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", [{"people": 1}, {"photos": 10_000}, {"photos": -1}])
def test_impossible_numbers_are_refused(wrong):
    with pytest.raises(CommandError):
        seed(**wrong)


def test_every_photograph_is_shipped_small_and_credited():
    shipped = {path.stem for path in PHOTOGRAPHS.glob("*.jpg")}
    assert shipped == {sample.name for sample in SAMPLES}
    credit = (PHOTOGRAPHS / "CREDITS.md").read_text()
    for path in PHOTOGRAPHS.glob("*.jpg"):
        assert f"`{path.name}`" in credit
        assert path.stat().st_size <= 61_440


def test_portraits_exist():
    assert {person.portrait for person in PEOPLE} - {""} <= {sample.name for sample in SAMPLES}
