"""Who is who: names and faces for a page of photos, the public card of one person, follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model

from scalekit.cache import cached

from .models import Follow, Like, Photo, Profile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.contrib.auth.models import AbstractBaseUser as User
    from django.db.models import QuerySet


def members() -> QuerySet[User]:
    """Return the people who can be seen, each with their profile."""
    return get_user_model().objects.filter(is_active=True).select_related("profile")


def by_id(ids: Iterable[int]) -> dict[int, User]:
    """Return the people behind `ids`, in one query however many they are."""
    wanted = set(ids)
    return members().in_bulk(wanted) if wanted else {}


def attach_owners(photos: Iterable[Photo]) -> list[Photo]:
    """Give each photo its `owner`; leave out photos whose owner has gone."""
    photos = list(photos)
    owners = by_id(photo.owner_id for photo in photos)
    for photo in photos:
        photo.owner = owners.get(photo.owner_id)
    return [photo for photo in photos if photo.owner]


@cached(ttl=300, depends_on=lambda user_id: [(get_user_model(), user_id), (Profile, user_id)])
def profile_card(user_id: int) -> dict[str, Any] | None:
    """Return what anybody may know about a person, as plain values; None if there is none.

    A write to the person's own rows ends it by itself; what changes a count says so with `forget_cards`.
    """
    user = members().filter(pk=user_id).first()
    if user is None:
        return None
    profile = profile_of(user)
    return {
        "id": user.pk,
        "username": user.get_username(),
        "name": profile.name or user.get_username(),
        "bio": profile.bio,
        "joined": user.date_joined.isoformat(timespec="seconds"),
        "avatar": profile.avatar.name or None,
        "counts": {
            "photos": Photo.objects.filter(owner_id=user_id).count(),
            "followers": Follow.objects.filter(followed=user_id).count(),
            "following": Follow.objects.filter(follower=user_id).count(),
            "likes": Like.objects.filter(owner_id=user_id).count(),
        },
    }


def forget_cards(*user_ids: int) -> None:
    """Give up the cards of those whose counts change, with the transaction that is open, if any."""
    for user_id in user_ids:
        profile_card.invalidate(user_id)


def profile_of(user: User) -> Profile:
    """Return the profile of `user`, blank for those made by ``createsuperuser``."""
    try:
        return user.profile
    except Profile.DoesNotExist:
        return Profile(user=user)


def display_name(user: User) -> str:
    return profile_of(user).name or user.get_username()


def is_following(follower: User, followed: User) -> bool:
    if not follower.is_authenticated:
        return False
    return Follow.objects.filter(follower=follower.pk, followed=followed.pk).exists()


def followed_ids(user_id: int) -> list[int]:
    return list(Follow.objects.filter(follower=user_id).values_list("followed", flat=True))


def follow(follower: User, followed: User) -> None:
    Follow.objects.get_or_create(follower=follower, followed=followed)
    forget_cards(follower.pk, followed.pk)


def unfollow(follower: User, followed: User) -> None:
    Follow.objects.filter(follower=follower, followed=followed).delete()
    forget_cards(follower.pk, followed.pk)


def suggestions(user: User, most: int = 6) -> list[User]:
    """Return people whom `user` does not follow yet, the newest first."""
    known = [user.pk, *followed_ids(user.pk)] if user.is_authenticated else []
    return list(members().exclude(pk__in=known).order_by("-pk")[:most])
