"""Generic views, forms and Django REST framework over sharded models, written as for any other model."""

from __future__ import annotations

import pytest
from django import forms
from django.http import HttpResponse
from django.test import Client
from django.urls import include, path
from django.views import generic
from rest_framework import pagination, routers, serializers, viewsets

from scalekit.db import using_shard
from scalekit.db.exceptions import ShardKeyRequired
from tests.db.galleries import apart, gallery, home, model

pytestmark = [pytest.mark.urls(__name__), pytest.mark.usefixtures("site")]
urlpatterns = []


@pytest.fixture
def site(tmp_path, settings):
    settings.REST_FRAMEWORK = {"UNAUTHENTICATED_USER": None, "DEFAULT_PERMISSION_CLASSES": []}
    with gallery(tmp_path):
        for key in apart():
            model("Person").objects.create(pk=key, name=f"p{key}")
        urlpatterns[:] = [*pages(), path("api/", include(api().urls))]
        yield


@pytest.fixture
def photos():
    return [model("Photo").objects.create(owner_id=key, rank=key) for key in apart()]


def client():
    return Client(raise_request_exception=True)


def pages():
    """Return the five generic views of photos, each answering in plain text."""
    photo, shown = model("Photo"), {"fields": ["owner", "rank"], "success_url": "/"}

    class Listed(generic.ListView):
        paginate_by = 2

        def get_queryset(self):
            owner = self.request.GET.get("owner")
            rows = photo.objects.filter(owner=owner) if owner else photo.objects.scatter()
            return rows.order_by("-rank")

        def render_to_response(self, context, **_):
            count = context["paginator"].count
            return HttpResponse(f"{count}: {[row.rank for row in context['object_list']]}")

    def in_text(view):
        def render(self, context, **_):
            form = context.get("form")
            return HttpResponse(str(self.object and self.object.rank) + str(form and form.errors))

        return type(
            f"{view.__name__}InText", (view,), {"render_to_response": render, "model": photo}
        )

    return [
        path("photos/", Listed.as_view()),
        path("photos/new/", in_text(generic.CreateView).as_view(**shown)),
        path("photos/<int:pk>/", in_text(generic.DetailView).as_view()),
        path("photos/<int:pk>/edit/", in_text(generic.UpdateView).as_view(**shown)),
        path("photos/<int:pk>/delete/", in_text(generic.DeleteView).as_view(success_url="/")),
    ]


def api():
    photo, comment = model("Photo"), model("Comment")

    def serializer(of):
        meta = type("Meta", (), {"model": of, "fields": "__all__"})
        return type(f"{of.__name__}Serializer", (serializers.ModelSerializer,), {"Meta": meta})

    class PhotoViewSet(viewsets.ModelViewSet):
        serializer_class = serializer(photo)
        pagination_class = type("Paged", (pagination.PageNumberPagination,), {"page_size": 2})
        queryset = photo.objects.scatter().prefetch_related("comments", "tags").order_by("-rank")

    class CommentViewSet(viewsets.ModelViewSet):
        serializer_class = serializer(comment)

        def get_queryset(self):
            rows = comment.objects.all()
            photo = self.request.query_params.get("photo")
            return rows.filter(photo=photo) if photo else rows

    router = routers.SimpleRouter()
    router.register("photos", PhotoViewSet, basename="photo")
    router.register("comments", CommentViewSet, basename="comment")
    return router


def test_a_list_view_pages_through_all_shards_or_one(photos):
    model("Photo").objects.create(owner_id=1, rank=99)
    ranks = sorted([99, *apart()], reverse=True)
    assert client().get("/photos/").content.decode() == f"3: {ranks[:2]}"
    assert client().get("/photos/?page=2").content.decode() == f"3: {ranks[2:]}"
    assert client().get("/photos/?owner=1").content == b"2: [99, 1]"


def test_create_detail_update_and_delete_views_work_on_the_row_s_shard():
    assert client().post("/photos/new/", {"owner": apart()[1], "rank": 5}).status_code == 302
    photo = model("Photo").objects.scatter().get()
    assert photo._state.db == home(apart()[1])
    url = f"/photos/{photo.pk}/"
    assert client().get(url).content == b"5None"
    assert client().post(f"{url}edit/", {"owner": apart()[1], "rank": 6}).status_code == 302
    assert client().get(url).content == b"6None"
    assert b"would be torn apart" in client().post(f"{url}edit/", {"owner": 1, "rank": 6}).content
    assert client().post(f"{url}delete/").status_code == 302
    assert client().get(url).status_code == 404


def test_a_form_without_its_key_says_that_alone():
    page = client().post("/photos/new/", {"rank": 5})
    assert b"owner" in page.content
    assert b"This field is required" in page.content


def test_a_model_view_set_lists_all_shards_and_writes_each_row_to_its_own(photos):
    photos[1].comments.create(author_id=1)
    listed = client().get("/api/photos/").json()
    assert listed["count"] == 2
    assert [row["rank"] for row in listed["results"]] == sorted(apart(), reverse=True)
    made = client().post("/api/photos/", {"owner": apart()[1], "rank": 50, "tags": []}).json()
    assert model("Photo").objects.get(pk=made["id"])._state.db == home(apart()[1])
    url = f"/api/photos/{made['id']}/"
    patched = client().patch(url, {"rank": 51}, content_type="application/json")
    assert patched.json()["rank"] == client().get(url).json()["rank"] == 51
    assert client().delete(url).status_code == 204
    assert client().get(url).status_code == 404


def test_a_view_set_of_rows_that_hang_on_others_finds_their_shard(photos):
    made = [
        client().post("/api/comments/", {"photo": photo.pk, "author": 1, "rank": 1}).json()
        for photo in photos
    ]
    rows = [model("Comment").objects.get(pk=row["id"]) for row in made]
    assert [row._state.db for row in rows] == [home(key) for key in apart()]
    found = client().get(f"/api/comments/?photo={photos[1].pk}").json()
    assert [row["id"] for row in found] == [made[1]["id"]]
    assert client().get(f"/api/comments/{made[1]['id']}/").json()["photo"] == photos[1].pk
    with pytest.raises(ShardKeyRequired, match="photo__owner"):
        client().get("/api/comments/")


def test_unknown_ids_are_errors_of_the_form(photos):
    answer = client().post("/api/comments/", {"photo": photos[0].pk + 1, "author": 1})
    assert answer.status_code == 400
    assert "does not exist" in answer.json()["photo"][0]


def comment_form(**options):
    return forms.modelform_factory(model("Comment"), fields=["photo", "author", "rank"], **options)


def test_a_form_takes_a_co_located_row_by_its_id(photos):
    form = comment_form(widgets={"photo": forms.NumberInput})(
        {"photo": photos[1].pk, "author": 1, "rank": 1}
    )
    assert form.is_valid(), form.errors
    assert form.save()._state.db == home(apart()[1])


def test_a_form_offers_the_rows_of_its_shard(photos):
    with using_shard("users", 1):
        choices = {str(value) for value, _ in comment_form()().fields["photo"].choices if value}
    assert choices == {str(photos[0].pk)}
    with pytest.raises(ShardKeyRequired):
        str(comment_form()())


def test_a_form_refuses_a_row_of_another_shard(photos):
    comment = photos[0].comments.create(author_id=1)
    data = {"photo": photos[1].pk, "author": 1, "rank": 1}
    form = comment_form(widgets={"photo": forms.NumberInput})(data, instance=comment)
    assert not form.is_valid()
    assert "cannot be related" in str(form.errors)
