from __future__ import annotations

import pytest

from example_project.photos import people, sharing


def test_user_is_described(client, ada, person, share):
    photo = share(ada, "Low sun")
    mateo = person("mateo")
    people.follow(mateo, ada)
    sharing.like(photo, mateo.pk)
    body = client.get(f"/users/{ada.pk}").json()
    assert (body["id"], body["username"], body["name"]) == (ada.pk, "ada", "Ada")
    assert body["counts"] == {"photos": 1, "followers": 1, "following": 0, "likes": 1}
    shown = body["photos"][0]
    assert (shown["id"], shown["caption"], shown["likes"]) == (str(photo.pk), "Low sun", 1)
    assert shown["thumbnail"].startswith("http://testserver/media/thumbnails/")
    assert shown["page"] == f"http://testserver{photo.get_absolute_url()}"


def test_older_photos_are_a_link_away(client, ada, share):
    for _ in range(13):
        share(ada, thumbnail=False)
    first = client.get(f"/users/{ada.pk}").json()
    rest = client.get(first["next"]).json()
    assert (len(first["photos"]), len(rest["photos"]), rest["next"]) == (12, 1, None)


@pytest.mark.parametrize("address", ["999", "0", "9" * 19, "9" * 30, "ada", "-1", "1/photos"])
def test_unknown_user_is_json_too(client, db, address):
    response = client.get(f"/users/{address}")
    assert response.status_code == 404
    assert response.json()["error"] == "not_found"


def test_head_answers_without_a_body(client, ada):
    response = client.head(f"/users/{ada.pk}")
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_only_reading_is_possible(ada, method):
    from django.test import Client

    response = getattr(Client(enforce_csrf_checks=True), method)(f"/users/{ada.pk}")
    assert response.status_code == 405
    assert response["Allow"] == "GET, HEAD"
    assert response.json()["error"] == "method_not_allowed"


def test_nothing_private_is_told(client, ada):
    ada.email = "ada@example.org"
    ada.is_staff = True
    ada.save()
    body = client.get(f"/users/{ada.pk}")
    for private in ("ada@example.org", "password", "md5", "email", "staff", "last_login"):
        assert private not in body.text
    assert not body.cookies


def test_closed_account_is_gone(client, ada):
    ada.is_active = False
    ada.save()
    assert client.get(f"/users/{ada.pk}").status_code == 404
    assert client.get("/@ada/").status_code == 404
