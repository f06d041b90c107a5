"""Sharded models in Django's admin, by Django's test client."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.urls import path

from scalekit.db.exceptions import ShardKeyRequired
from scalekit.db.sharding.admin import ShardedModelAdmin
from tests.db.databases import create_tables
from tests.db.galleries import NAMES, apart, gallery, home, model

site = admin.AdminSite()
pytestmark = pytest.mark.urls(__name__)


def urls():
    return [path("admin/", site.urls)]


@pytest.fixture(autouse=True)
def galleries(tmp_path):
    with gallery(tmp_path):
        for app in ("auth", "admin", "sessions"):
            create_tables("default", app=app)
        for key in apart():
            model("Person").objects.create(pk=key, name=f"p{key}")
        register()
        yield
        site._registry.clear()
        urlpatterns[:] = []


urlpatterns = []


def register():
    class FrameInline(admin.TabularInline):
        model = model("Frame")

    class PhotoAdmin(ShardedModelAdmin):
        list_display = ("id", "owner_id", "rank")
        list_editable = ("rank",)
        list_filter = ("rank",)
        search_fields = ("=rank",)
        inlines = (FrameInline,)
        fields = ("owner", "rank", "tags")

    site.register(model("Photo"), PhotoAdmin)
    site.register(model("Comment"), ShardedModelAdmin)
    site.register(model("Tag"), ShardedModelAdmin)
    site.register(model("Person"))
    urlpatterns[:] = urls()


@pytest.fixture
def client():
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


@pytest.fixture
def photos():
    return [
        model("Photo").objects.create(owner_id=key, rank=rank)
        for rank, key in enumerate([*apart(), *apart()], 1)
    ]


LIST = "/admin/pictures/photo/"
NO_FRAME = {
    "frame-TOTAL_FORMS": 0,
    "frame-INITIAL_FORMS": 0,
    "frame-MIN_NUM_FORMS": 0,
    "frame-MAX_NUM_FORMS": 1,
}


def listed(client, query=""):
    page = client.get(f"{LIST}{query}")
    assert page.status_code == 200
    return [row.pk for row in page.context["cl"].result_list]


def test_the_list_is_of_all_shards_in_order(client, photos):
    assert listed(client) == sorted((photo.pk for photo in photos), reverse=True)
    assert listed(client, "?o=3") == [photo.pk for photo in photos]
    assert listed(client, "?rank=2") == listed(client, "?q=2") == [photos[1].pk]


def test_a_filter_shows_one_shard(client, photos):
    page = client.get(f"{LIST}?shard={home(1)}")
    assert {row.owner_id for row in page.context["cl"].result_list} == {1}
    assert b"By shard" in page.content
    assert all(f"?shard={alias}".encode() in page.content for alias in NAMES if alias != home(1))
    assert listed(client, "?shard=nowhere") == listed(client)


def test_a_row_is_added_on_the_shard_of_its_key(client):
    answer = client.post(f"{LIST}add/", {"owner": apart()[1], "rank": 3, **NO_FRAME})
    assert answer.status_code == 302
    assert model("Photo").objects.get(owner_id=apart()[1])._state.db == home(apart()[1])
    assert LogEntry.objects.get().action_flag == 1


def test_a_row_is_added_beside_the_one_it_hangs_on(client, photos):
    answer = client.post(
        "/admin/pictures/comment/add/", {"photo": photos[1].pk, "author": 1, "rank": 1}
    )
    assert answer.status_code == 302
    assert photos[1].comments.get()._state.db == home(apart()[1])


def test_a_page_and_its_inlines_are_one_transaction_on_their_shard(client, photos, monkeypatch):
    data = {**NO_FRAME, "frame-TOTAL_FORMS": 1, "frame-0-rank": 4, "frame-0-photo": photos[1].pk}
    url = f"{LIST}{photos[1].pk}/change/"
    assert client.get(url).status_code == 200
    monkeypatch.setattr(model("Frame"), "save", broken)
    with pytest.raises(RuntimeError):
        client.post(url, {"owner": apart()[1], "rank": 9, **data})
    assert model("Photo").objects.get(pk=photos[1].pk).rank == 2
    monkeypatch.undo()
    assert client.post(url, {"owner": apart()[1], "rank": 9, **data}).status_code == 302
    changed = model("Photo").objects.get(pk=photos[1].pk)
    assert (changed.rank, changed.frame.rank, changed.frame._state.db) == (9, 4, home(apart()[1]))


def broken(*_, **__):
    raise RuntimeError


@pytest.mark.parametrize(
    "wrong", [{"owner": ""}, {"owner": 1, "rank": "x"}, {"owner": 1, "tags": "1,2"}]
)
def test_a_wrong_form_is_shown_again(client, wrong):
    answer = client.post(f"{LIST}add/", {"rank": 1, **wrong, **NO_FRAME})
    assert answer.status_code == 200
    assert b"errorlist" in answer.content
    assert not model("Photo").objects.scatter().exists()


def test_rows_of_other_shards_cannot_be_chosen(client, photos):
    tags = [model("Tag").objects.create(owner_id=key) for key in apart()]
    url, data = f"{LIST}{photos[0].pk}/change/", {"owner": 1, "rank": 1, **NO_FRAME}
    answer = client.post(url, {**data, "tags": ",".join(str(tag.pk) for tag in tags)})
    assert b"Select a valid choice" in answer.content
    assert client.post(url, {**data, "tags": str(tags[0].pk)}).status_code == 302
    assert list(photos[0].tags.all()) == [tags[0]]


def test_a_changed_key_is_an_error_of_the_form(client, photos):
    url = f"{LIST}{photos[0].pk}/change/"
    answer = client.post(url, {"owner": apart()[1], "rank": 1, **NO_FRAME})
    assert answer.status_code == 200
    assert b"would be torn apart" in answer.content


def test_a_row_is_deleted_with_what_hangs_on_it(client, photos):
    photos[1].comments.create(author_id=1).likes.create(fan_id=1)
    url = f"{LIST}{photos[1].pk}/delete/"
    assert client.get(url).context["model_count"] is not None
    assert client.post(url, {"post": "yes"}).status_code == 302
    assert model("Like").objects.scatter().count() == 0
    assert model("Photo").objects.scatter().count() == 3


def test_an_action_works_on_rows_of_all_shards(client, photos):
    photos[1].comments.create(author_id=1)
    data = {"action": "delete_selected", "_selected_action": [photo.pk for photo in photos[:3]]}
    asked = client.post(LIST, data)
    assert dict(asked.context["model_count"])["photos"] == 3
    assert dict(asked.context["model_count"])["comments"] == 1
    assert client.post(LIST, {**data, "post": "yes"}).status_code == 302
    assert model("Photo").objects.scatter().get() == photos[3]


def test_rows_are_edited_in_the_list_each_on_its_shard(client, photos):
    rows = sorted(photos, key=lambda photo: -photo.pk)
    data = {"form-TOTAL_FORMS": 4, "form-INITIAL_FORMS": 4, "_save": "Save"}
    for number, row in enumerate(rows):
        data |= {f"form-{number}-id": row.pk, f"form-{number}-rank": row.rank + 100}
    assert client.post(LIST, data).status_code == 302
    assert [row.rank for row in model("Photo").objects.scatter().order_by("rank")] == [
        101, 102, 103, 104,
    ]  # fmt: skip


def test_a_page_about_several_rows_gives_no_shard_to_queries_that_name_none(
    client, photos, monkeypatch
):
    def save(self, *args, **kwargs):
        type(self).objects.filter(rank=1).count()

    monkeypatch.setattr(model("Photo"), "save", save)
    data = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "_save": "Save"}
    data |= {"form-0-id": max(photo.pk for photo in photos), "form-0-rank": 100}
    with pytest.raises(ShardKeyRequired):
        client.post(LIST, data)


def test_before_sharding_it_is_an_ordinary_admin(tmp_path):
    site._registry.clear()
    with gallery(tmp_path / "one", shards=()):
        for app in ("auth", "admin", "sessions"):
            create_tables("default", app=app)
        register()
        client = Client()
        client.force_login(User.objects.create_superuser("boss"))
        photo = model("Photo").objects.create(owner_id=1)
        assert listed(client) == [photo.pk]
        assert b"By shard" not in client.get(LIST).content
        url = f"{LIST}{photo.pk}/delete/"
        assert client.post(url, {"post": "yes"}).status_code == 302
        connections.close_all()
