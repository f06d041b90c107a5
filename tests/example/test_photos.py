from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from example_project.photos import sharing
from example_project.photos.models import Comment, Like, Photo
from example_project.photos.tasks import make_thumbnail


@pytest.fixture
def photo(person, share):
    return share(person("mateo"), "The path decides")


def test_page_shows_photo_and_comments(client, photo, ada):
    sharing.comment(photo, ada.pk, "<b>Lovely</b>")
    page = client.get(photo.get_absolute_url()).text
    assert "The path decides" in page
    assert "&lt;b&gt;Lovely" in page


def test_like_and_unlike(as_ada, photo):
    url = f"{photo.get_absolute_url()}like/"
    for _ in range(2):
        as_ada.post(url, {"like": "1"})
    photo.refresh_from_db()
    assert Like.objects.count() == photo.like_count == 1
    answer = as_ada.post(url, {"like": "0"}, headers={"accept": "application/json"})
    photo.refresh_from_db()
    assert answer.json() == {"liked": False, "likes": 0}
    assert photo.like_count == 0


def test_racing_likes_count_once(photo, ada, monkeypatch):
    sharing.like(photo, ada.pk)
    monkeypatch.setattr(sharing, "is_liked", lambda photo, user_id: False)
    sharing.like(photo, ada.pk)
    photo.refresh_from_db()
    assert Like.objects.count() == photo.like_count == 1


def test_like_returns_to_the_page_it_came_from_and_to_no_other_site(as_ada, photo):
    url = f"{photo.get_absolute_url()}like/"
    assert as_ada.post(url, {"next": "/?before=5"}).url == "/?before=5"
    assert as_ada.post(url, {"next": "https://evil.example/"}).url == photo.get_absolute_url()


def test_strangers_are_asked_to_log_in_and_brought_back(client, photo):
    login = f"/login/?next={photo.get_absolute_url()}"
    assert client.post(f"{photo.get_absolute_url()}like/").url == login
    assert client.post(f"{photo.get_absolute_url()}comment/", {"text": "Hi"}).url == login


def test_like_by_get_is_refused(as_ada, photo):
    assert as_ada.get(f"{photo.get_absolute_url()}like/").status_code == 405


def test_comment(as_ada, photo):
    response = as_ada.post(f"{photo.get_absolute_url()}comment/", {"text": "How long is the walk?"})
    assert response.url.startswith(photo.get_absolute_url())
    photo.refresh_from_db()
    assert photo.comment_count == 1


@pytest.mark.parametrize(("text", "told"), [("  ", "write something"), ("x" * 501, "at most 500")])
def test_bad_comment_is_told(as_ada, photo, text, told):
    response = as_ada.post(f"{photo.get_absolute_url()}comment/", {"text": text})
    assert response.status_code == 422
    assert told in response.text


def test_too_many_comments_are_slowed_down(as_ada, photo, settings):
    settings.PHOTOS_MAX_COMMENTS_PER_MINUTE = 1
    for text in ("One", "Two"):
        response = as_ada.post(f"{photo.get_absolute_url()}comment/", {"text": text})
    assert "wait a minute" in response.text
    assert Comment.objects.count() == 1


def test_earlier_comments_are_a_page_away(client, photo, ada):
    made = [sharing.comment(photo, ada.pk, f"Remark {n}.") for n in range(52)]
    page = client.get(photo.get_absolute_url())
    assert "Remark 1." not in page.text
    assert page.context["earlier_comments"] == made[2].pk
    earlier = client.get(photo.get_absolute_url(), {"comments_before": made[2].pk}).text
    assert "Remark 0." in earlier
    assert "Remark 1." in earlier


def test_comment_is_deleted_by_author_or_owner_only(client, photo, ada, person):
    said = sharing.comment(photo, ada.pk, "Oops")
    url = f"{photo.get_absolute_url()}comments/{said.pk}/delete/"
    client.force_login(person("eve"))
    assert client.post(url).status_code == 403
    client.force_login(ada)
    client.post(url)
    assert not Comment.objects.exists()


def test_only_the_owner_deletes_a_photo(as_ada, photo):
    assert as_ada.post(f"{photo.get_absolute_url()}delete/").status_code == 403
    assert Photo.objects.exists()


def test_deleted_photo_leaves_nothing(
    as_ada, ada, share, person, django_capture_on_commit_callbacks
):
    photo = share(ada)
    sharing.like(photo, ada.pk)
    sharing.comment(photo, person("mateo").pk, "Wait")
    with django_capture_on_commit_callbacks(execute=True):
        as_ada.post(f"{photo.get_absolute_url()}delete/")
    assert not Photo.objects.exists()
    assert not Like.objects.exists()
    assert not Comment.objects.exists()
    assert not default_storage.exists(photo.image.name)
    assert not default_storage.exists(photo.thumbnail.name or "x")


@pytest.mark.parametrize("number", [1, 2**63 - 1, 2**63, 10**25])
def test_unknown_photo_is_not_found(client, db, number):
    assert client.get(f"/photos/{number}/").status_code == 404


def test_photo_whose_owner_has_gone_is_not_found(client, ada, share):
    photo = share(ada)
    ada.delete()
    assert client.get(photo.get_absolute_url()).status_code == 404
    assert client.get("/explore/").status_code == 200


def test_placeholder_until_the_thumbnail_is_there(client, ada, share):
    photo = share(ada, thumbnail=False)
    status = f"{photo.get_absolute_url()}thumbnail/"
    assert status in client.get("/@ada/").text
    assert client.get(status).json() == {"url": None}
    make_thumbnail.enqueue(photo.pk)
    assert "/media/thumbnails/" in client.get(status).json()["url"]


def test_whole_photo_stands_in_for_a_thumbnail_that_never_came(client, ada, share):
    photo = share(ada, thumbnail=False)
    Photo.objects.update(created_at=timezone.now() - timedelta(hours=1))
    assert client.get(f"{photo.get_absolute_url()}thumbnail/").json() == {"url": photo.image.url}


def test_forms_are_guarded_against_other_sites(ada, photo):
    from django.test import Client

    guarded = Client(enforce_csrf_checks=True)
    guarded.force_login(ada)
    for address in ("like/", "comment/", "delete/"):
        response = guarded.post(f"{photo.get_absolute_url()}{address}", {"text": "x"})
        assert response.status_code == 403
