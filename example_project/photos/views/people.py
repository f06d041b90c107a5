from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from example_project.photos import pages, people
from example_project.photos.people import display_name

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser as User
    from django.http import HttpRequest, HttpResponse

LISTED = 200


def find(username: str) -> User:
    return get_object_or_404(people.members(), username=username)


@require_safe
def profile(request: HttpRequest, username: str) -> HttpResponse:
    person = find(username)
    context = {
        "person": person,
        "card": people.profile_card(person.pk),
        "page": pages.photos_of(person.pk, pages.read_before(request.GET.get("before"))),
        "is_following": people.is_following(request.user, person),
    }
    return render(request, "photos/profile.html", context)


@require_POST
def follow(request: HttpRequest, username: str) -> HttpResponse:
    """Follow or, with ``follow=0``, no longer."""
    person = find(username)
    address = reverse("profile", args=[username])
    if not request.user.is_authenticated:
        return redirect_to_login(address)
    if person.pk == request.user.pk:
        messages.error(request, "You cannot follow yourself.")
    elif request.POST.get("follow") == "0":
        people.unfollow(request.user, person)
    else:
        people.follow(request.user, person)
        messages.success(request, f"You follow {display_name(person)} now.")
    return redirect(address)


@require_safe
def followers(request: HttpRequest, username: str) -> HttpResponse:
    person = find(username)
    listed = people.members().filter(following_links__followed=person)
    return render_people(request, person, "Followers", listed)


@require_safe
def following(request: HttpRequest, username: str) -> HttpResponse:
    person = find(username)
    listed = people.members().filter(follower_links__follower=person)
    return render_people(request, person, "Following", listed)


def render_people(request: HttpRequest, person: User, title: str, listed: object) -> HttpResponse:
    context = {"person": person, "title": title, "people": listed.order_by("username")[:LISTED]}
    return render(request, "photos/people.html", context)
