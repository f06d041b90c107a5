"""JSON for mobile clients: ``GET /users/12``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.files.storage import default_storage
from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt

from example_project.photos import pages
from example_project.photos.people import profile_card

if TYPE_CHECKING:
    from example_project.photos.models import Photo

PHOTOS_A_PAGE = 12
ALLOWED = ("GET", "HEAD")


def answer(data: dict[str, Any], status: int = 200) -> JsonResponse:
    return JsonResponse(data, status=status, json_dumps_params={"indent": 2, "ensure_ascii": False})


def refuse(status: int, error: str, detail: str) -> JsonResponse:
    return answer({"error": error, "detail": detail}, status)


def method_not_allowed(request: HttpRequest) -> JsonResponse:
    detail = f"{request.method} is not possible here, only GET and HEAD."
    response = refuse(405, "method_not_allowed", detail)
    response["Allow"] = ", ".join(ALLOWED)
    return response


@csrf_exempt  # nothing is ever written here; without it a POST would be answered with a web page
def user(request: HttpRequest, user_id: int) -> JsonResponse:
    """Return a person's public card and their latest photos; older ones by ``?before=``."""
    if request.method not in ALLOWED:
        return method_not_allowed(request)
    card = profile_card(user_id)
    if card is None:
        return refuse(404, "not_found", f"There is no user {user_id}.")
    page = pages.photos_of(user_id, pages.read_before(request.GET.get("before")), PHOTOS_A_PAGE)
    return answer(describe(request, card, page))


@csrf_exempt
def unknown(request: HttpRequest, anything: str) -> JsonResponse:  # noqa: ARG001
    return refuse(404, "not_found", "A user is found by number: /users/12")


def describe(request: HttpRequest, card: dict[str, Any], page: pages.Page) -> dict[str, Any]:
    absolute = request.build_absolute_uri
    itself = absolute(reverse("api_user", args=[card["id"]]))
    return {
        **card,
        "avatar": absolute(default_storage.url(card["avatar"])) if card["avatar"] else None,
        "url": itself,
        "page": absolute(reverse("profile", args=[card["username"]])),
        "photos": [describe_photo(request, photo) for photo in page.photos],
        "next": f"{itself}?before={page.next_before}" if page.next_before else None,
    }


def describe_photo(request: HttpRequest, photo: Photo) -> dict[str, Any]:
    absolute = request.build_absolute_uri
    return {
        "id": str(photo.pk),  # as text: JavaScript's numbers end at 2**53
        "caption": photo.caption,
        "description": photo.description,
        "width": photo.width,
        "height": photo.height,
        "likes": photo.like_count,
        "comments": photo.comment_count,
        "created": photo.created_at.isoformat(timespec="seconds"),
        "image": absolute(photo.image.url),
        "thumbnail": absolute(photo.preview_url) if photo.preview_url else None,
        "page": absolute(photo.get_absolute_url()),
    }
