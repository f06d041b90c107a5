"""What the staff sees of the photos, before there are shards; the same classes list them over shards later."""

from __future__ import annotations

import pytest


@pytest.fixture
def as_staff(client, person):
    staff = person("grace")
    staff.is_staff = staff.is_superuser = True
    staff.save()
    client.force_login(staff)
    return client


@pytest.fixture
def photos(as_staff, ada, person, share):
    return share(ada, "Fern"), share(person("mateo"), "Path")


def listed(response):
    return {photo.caption for photo in response.context["cl"].result_list}


def test_the_list_has_everybodys_photos(as_staff, photos):
    assert listed(as_staff.get("/admin/photos/photo/")) == {"Fern", "Path"}


def test_a_search_by_user_name_finds_the_photos_of_that_person(as_staff, photos):
    assert listed(as_staff.get("/admin/photos/photo/?q=ada")) == {"Fern"}
    assert listed(as_staff.get("/admin/photos/photo/?q=nobody")) == set()


def test_a_photo_can_be_looked_at_but_not_changed(as_staff, photos):
    page = f"/admin/photos/photo/{photos[0].pk}/change/"
    assert as_staff.get(page).status_code == 200
    assert as_staff.post(page, {"caption": "Other"}).status_code == 403
