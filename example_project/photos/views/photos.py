from __future__ import annotations

from typing import NoReturn

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from example_project.photos import pages, sharing
from example_project.photos.forms import CommentForm, UploadForm
from example_project.photos.models import Comment, Photo
from example_project.photos.people import by_id

COMMENTS_SHOWN = 50
MORE_SHOWN = 6


def find(photo_id: int) -> Photo:
    try:
        return Photo.objects.get(pk=photo_id)
    except Photo.DoesNotExist:
        gone()


def gone() -> NoReturn:
    msg = "No such photo."
    raise Http404(msg)


@require_safe
def photo(request: HttpRequest, photo_id: int) -> HttpResponse:
    return show(request, find(photo_id), CommentForm())


def show(request: HttpRequest, photo: Photo, form: CommentForm, status: int = 200) -> HttpResponse:
    comments, earlier = comments_of(photo, pages.read_before(request.GET.get("comments_before")))
    people = by_id([photo.owner_id, *(comment.author_id for comment in comments)])
    if photo.owner_id not in people:
        gone()
    for comment in comments:
        comment.author = people.get(comment.author_id)
    photo.owner = people[photo.owner_id]
    photo.is_liked = sharing.is_liked(photo, request.user.pk)
    photo.like_count = sharing.likes_of(photo)
    more = pages.photos_of(photo.owner_id, size=MORE_SHOWN + 1).photos
    context = {
        "photo": photo,
        "comments": [comment for comment in comments if comment.author],
        "earlier_comments": earlier,
        "form": form,
        "more": [other for other in more if other.pk != photo.pk][:MORE_SHOWN],
    }
    return render(request, "photos/photo.html", context, status=status)


def comments_of(photo: Photo, before: int | None) -> tuple[list[Comment], int | None]:
    """Return the latest comments, oldest first, and the id to go on from if there are earlier ones."""
    comments = Comment.objects.filter(owner_id=photo.owner_id, photo_id=photo.pk)
    if before is not None:
        comments = comments.filter(id__lt=before)
    rows = list(comments.order_by("-id")[: COMMENTS_SHOWN + 1])
    shown = rows[:COMMENTS_SHOWN][::-1]
    return shown, shown[0].pk if len(rows) > COMMENTS_SHOWN else None


@login_required
def upload(request: HttpRequest) -> HttpResponse:
    form = UploadForm(*((request.POST, request.FILES) if request.method == "POST" else ()))
    if request.method == "POST" and sharing.uploads_too_often(request.user.pk):
        form.add_error(
            None, "You have shared a lot of photos this hour. Please go on a little later."
        )
    elif form.is_valid():
        data = form.cleaned_data
        made = sharing.share(
            request.user.pk, data["image"], caption=data["caption"], alt=data["alt"]
        )
        messages.success(request, "Your photo has been shared.")
        return redirect(made)
    return render(request, "photos/upload.html", {"form": form})


@require_POST
def like(request: HttpRequest, photo_id: int) -> HttpResponse:
    """Like or, with ``like=0``, take it back; JSON for scripts, a redirect for forms."""
    photo = find(photo_id)
    if not request.user.is_authenticated:
        return redirect_to_login(photo.get_absolute_url())
    wanted = request.POST.get("like") != "0"
    (sharing.like if wanted else sharing.unlike)(photo, request.user.pk)
    if request.headers.get("Accept") == "application/json":
        return JsonResponse({"liked": wanted, "likes": sharing.likes_of(photo)})
    return go_back(request, photo)


def go_back(request: HttpRequest, photo: Photo) -> HttpResponse:
    """Return to the page that the form stood on, never to another site."""
    target = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(target, {request.get_host()}, request.is_secure())
    return redirect(target if safe else photo)


@require_POST
def comment(request: HttpRequest, photo_id: int) -> HttpResponse:
    photo = find(photo_id)
    if not request.user.is_authenticated:
        return redirect_to_login(photo.get_absolute_url())
    form = CommentForm(request.POST)
    if sharing.comments_too_often(photo, request.user.pk):
        form.add_error(None, "That is a lot of comments. Please wait a minute.")
    elif form.is_valid():
        made = sharing.comment(photo, request.user.pk, form.cleaned_data["text"])
        return redirect(f"{photo.get_absolute_url()}#comment-{made.pk}")
    return show(request, photo, form, status=422)


@login_required
@require_POST
def delete_comment(request: HttpRequest, photo_id: int, comment_id: int) -> HttpResponse:
    photo = find(photo_id)
    comment = Comment.objects.filter(
        owner_id=photo.owner_id, photo_id=photo.pk, pk=comment_id
    ).first()
    if comment and request.user.pk not in {comment.author_id, photo.owner_id}:
        raise PermissionDenied
    if comment:
        sharing.remove_comment(photo, comment_id)
    return redirect(photo)


@login_required
def delete(request: HttpRequest, photo_id: int) -> HttpResponse:
    photo = find(photo_id)
    if photo.owner_id != request.user.pk:
        raise PermissionDenied
    if request.method == "POST":
        sharing.remove(photo)
        messages.success(request, "Your photo has been deleted.")
        return redirect("profile", request.user.get_username())
    return render(request, "photos/delete.html", {"photo": photo})


@require_safe
def thumbnail(request: HttpRequest, photo_id: int) -> JsonResponse:  # noqa: ARG001
    """Tell a page that shows a placeholder whether the worker is through."""
    return JsonResponse({"url": find(photo_id).preview_url or None})
