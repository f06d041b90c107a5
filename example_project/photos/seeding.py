"""What the demonstration consists of: planned from a number, the same number the same site."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import AbstractBaseUser as User
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from . import images, sharing
from .forms import AVATAR_SIDE
from .images import CleanImage
from .models import Follow, Photo, Profile
from .people import forget_cards
from .samples import PEOPLE, PHOTOGRAPHS, SAMPLES, Person, Sample
from .tasks import make_thumbnail

MOST_PHOTOS_EACH = sum(len(sample.captions) for sample in SAMPLES)
BETWEEN_PHOTOS = timedelta(hours=7)


@dataclass(frozen=True)
class PlannedPhoto:
    owner: User
    sample: Sample
    caption: str
    shared_at: datetime
    fans: list[User]
    remarks: list[tuple[User, str]]


def people_of(count: int) -> list[Person]:
    """Return `count` people; beyond those written down they are numbered."""
    numbered = (Person(f"guest{n}", f"Guest {n}") for n in range(len(PEOPLE) + 1, count + 1))
    return [*PEOPLE[:count], *numbered]


def add_people(count: int, password: str) -> Iterator[User]:
    """Yield `count` people, made where missing, all with the same password."""
    encoded = make_password(password)  # once: it takes its time by design
    for number, person in enumerate(people_of(count)):
        joined = timezone.now() - timedelta(days=400 - number * 9 % 300)
        user, made = get_user_model().objects.get_or_create(
            username=person.username, defaults={"password": encoded, "date_joined": joined}
        )
        if made:
            profile = Profile(user=user, name=person.name, bio=person.bio)
            if person.portrait:
                profile.avatar.save("avatar.jpg", portrait(person.portrait), save=False)
            profile.save(force_insert=True)
        yield user


def portrait(sample: str) -> ContentFile:
    with (PHOTOGRAPHS / f"{sample}.jpg").open("rb") as file:
        return images.make_thumbnail(file, AVATAR_SIDE)


def add_follows(people: list[User], chance: random.Random) -> None:
    """Have each follow about a third of the others."""
    links = [
        Follow(follower=person, followed=other)
        for person in people
        for other in chance.sample(people, k=max(1, len(people) // 3))
        if other != person
    ]
    Follow.objects.bulk_create(links, ignore_conflicts=True)
    forget_cards(*(person.pk for person in people))


def plan_photos(people: list[User], count: int, chance: random.Random) -> list[PlannedPhoto]:
    """Deal the photographs out, so that nobody has the same caption twice."""
    deck = [(sample, caption) for sample in SAMPLES for caption in sample.captions]
    start = timezone.now() - BETWEEN_PHOTOS * count
    hands: dict[int, list[tuple[Sample, str]]] = {}
    plan = []
    order = dealt(people, count, chance)
    for number, owner in enumerate(order):
        hand = hands.setdefault(owner.pk, [])
        if not hand:
            hand.extend(chance.sample(deck, k=len(deck)))
        sample, caption = take_rarest(hand, plan[-len(SAMPLES) + 4 :])
        shared_at = start + BETWEEN_PHOTOS * number + timedelta(minutes=chance.randrange(300))
        others = [person for person in people if person != owner]
        plan.append(
            PlannedPhoto(
                owner,
                sample,
                caption,
                min(shared_at, timezone.now()),
                chance.sample(others, k=chance.randrange(len(others) + 1)),
                remarks(sample, others, chance),
            )
        )
    return plan


def dealt(people: list[User], count: int, chance: random.Random) -> list[User]:
    """Return the owners of `count` photos: everybody once, before anybody twice."""
    order: list[User] = []
    while len(order) < count:
        order.extend(chance.sample(people, k=len(people)))
    return order[:count]


def take_rarest(hand: list[tuple[Sample, str]], recent: list[PlannedPhoto]) -> tuple[Sample, str]:
    """Take a card whose photograph has not been seen lately, so that no page shows one twice soon."""
    seen = {photo.sample.name for photo in recent}
    for position, (sample, _) in enumerate(hand):
        if sample.name not in seen:
            return hand.pop(position)
    return hand.pop(0)


def remarks(sample: Sample, others: list[User], chance: random.Random) -> list[tuple[User, str]]:
    texts = chance.sample(sample.comments, k=min(chance.randrange(4), len(others)))
    return list(zip(chance.sample(others, k=len(texts)), texts, strict=True))


def add_photo(planned: PlannedPhoto, *, inline: bool) -> bool:
    """Share a planned photo with what was said of it; False if it was there already."""
    owner_id = planned.owner.pk
    if Photo.objects.filter(owner_id=owner_id, caption=planned.caption).exists():
        return False
    photo = sharing.store(
        owner_id,
        clean(planned.sample),
        caption=planned.caption,
        alt=planned.sample.alt,
        created_at=planned.shared_at,
    )
    if inline:
        make_thumbnail.call(photo.pk)
    else:
        sharing.request_thumbnail(photo)
    for fan in planned.fans:
        sharing.like(photo, fan.pk)
    for minutes, (author, text) in enumerate(planned.remarks, start=1):
        said_at = min(planned.shared_at + timedelta(minutes=minutes * 17), timezone.now())
        sharing.comment(photo, author.pk, text, created_at=said_at)
    return True


@cache
def pixels(sample: Sample) -> CleanImage:
    return images.clean_upload(SimpleUploadedFile("photo.jpg", sample.path.read_bytes()))


def clean(sample: Sample) -> CleanImage:
    """Return the photograph as an upload would arrive; each time a file of its own."""
    kept = pixels(sample)
    return CleanImage(
        ContentFile(kept.content.file.getvalue(), "photo.jpg"), kept.width, kept.height
    )
