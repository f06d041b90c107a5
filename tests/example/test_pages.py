from __future__ import annotations

import pytest

from example_project.photos import people, sharing
from example_project.photos.models import Follow
from scalekit.testing.cache import settle


def captions(response):
    return [photo.caption for photo in response.context["page"].photos]


def test_feed_holds_those_one_follows_and_oneself(as_ada, ada, person, share):
    mateo, yuki = person("mateo"), person("yuki")
    for owner, caption in ((mateo, "Path"), (yuki, "Moss"), (ada, "Mine")):
        share(owner, caption)
    as_ada.post("/@mateo/follow/", {"follow": "1"})
    assert captions(as_ada.get("/")) == ["Mine", "Path"]
    as_ada.post("/@mateo/follow/", {"follow": "0"})
    assert captions(as_ada.get("/")) == ["Mine"]


def test_feed_knows_what_one_likes(as_ada, ada, share):
    liked, other = share(ada, "Liked"), share(ada, "Other")
    sharing.like(liked, ada.pk)
    shown = {photo.pk: photo.is_liked for photo in as_ada.get("/").context["page"].photos}
    assert shown == {liked.pk: True, other.pk: False}


def test_following_twice_or_oneself_changes_nothing(as_ada, person):
    person("mateo")
    for name in ("mateo", "mateo", "ada"):
        as_ada.post(f"/@{name}/follow/", {"follow": "1"})
    assert Follow.objects.count() == 1


@pytest.mark.parametrize("address", ["/explore/", "/@ada/"])
def test_pages_go_on_where_the_last_one_ended(client, ada, share, settings, address):
    settings.PHOTOS_PAGE_SIZE = 2
    for caption in "ABCDE":
        share(ada, caption)
    seen, before = [], ""
    while before is not None:
        response = client.get(address, {"before": before} if before else {})
        seen += captions(response)
        before = response.context["page"].next_before
    assert seen == list("EDCBA")


@pytest.mark.parametrize("before", ["", "x", "-1", "1e9", "٣", "9" * 19, "9" * 40, "1;drop"])
def test_strange_page_addresses_show_a_page(client, db, before):
    assert client.get("/explore/", {"before": before}).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/", "/explore/", "/login/", "/join/"])
def test_empty_site_has_pages(client, address):
    assert client.get(address).status_code == 200


@pytest.mark.parametrize(
    "address", ["/", "/@ada/", "/@ada/followers/", "/settings/", "/photos/new/"]
)
def test_new_member_has_pages(as_ada, address):
    assert as_ada.get(address).status_code == 200


def test_not_found_looks_like_the_site(client, db):
    response = client.get("/nowhere/")
    assert response.status_code == 404
    assert "Explore photos" in response.text


def test_lists_of_followers(as_ada, person, ada):
    people.follow(person("mateo"), ada)
    assert "Mateo" in as_ada.get("/@ada/followers/").text
    assert "Ada" in as_ada.get("/@mateo/following/").text


def test_pages_run_nothing_inline(as_ada, ada, share):
    """A strict content security policy must be possible."""
    photo = share(ada)
    for address in ("/", "/explore/", "/@ada/", photo.get_absolute_url(), "/photos/new/"):
        page = as_ada.get(address).text
        assert "<style" not in page
        assert " style=" not in page
        assert " onclick=" not in page
        assert "<script>" not in page


@pytest.fixture
def crowded(person, share, ada):
    """Ten people, each with two photos that everybody likes and comments on."""
    crowd = [ada, *(person(f"p{n}") for n in range(9))]
    for owner in crowd:
        people.follow(ada, owner) if owner != ada else None
        for photo in (share(owner), share(owner)):
            for fan in crowd:
                sharing.like(photo, fan.pk)
                sharing.comment(photo, fan.pk, "Nice")
    return photo


@pytest.mark.parametrize(
    ("address", "queries"),
    [("/explore/", 2), ("/@ada/", 7), ("photo", 5), ("/users/{ada}", 6)],
)
def test_stranger_costs_few_queries(
    client, crowded, ada, address, queries, django_assert_num_queries
):
    address = crowded.get_absolute_url() if address == "photo" else address.format(ada=ada.pk)
    with django_assert_num_queries(queries):
        client.get(address)


def test_second_look_at_a_profile_costs_less(client, crowded, ada, django_assert_num_queries):
    settle()
    client.get(f"/users/{ada.pk}")
    with django_assert_num_queries(1):  # the photos; the card is cached
        client.get(f"/users/{ada.pk}")


@pytest.mark.parametrize(("address", "queries"), [("/", 9), ("photo", 9)])
def test_member_costs_few_queries(as_ada, crowded, address, queries, django_assert_num_queries):
    address = crowded.get_absolute_url() if address == "photo" else address
    with django_assert_num_queries(queries):
        as_ada.get(address)
