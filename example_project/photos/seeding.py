"""What the demonstration consists of: planned from a number, the same number the same site."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
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

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from django.contrib.auth.models import AbstractBaseUser as User

MOST_PHOTOS_EACH = sum(len(sample.captions) for sample in SAMPLES)
BETWEEN_PHOTOS = timedelta(hours=7)
APART = len(SAMPLES) - 4  # so many photos lie between two prints of one photograph

Hand = list[tuple[Sample, str]]


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
    hands: dict[int, Hand] = {}
    plan: list[PlannedPhoto] = []
    for number, owner in enumerate(dealt(people, count, chance)):
        hand = hands.setdefault(owner.pk, chance.sample(deck, k=len(deck)))
        recent = {photo.sample.name for photo in plan[-APART:]}
        own = {photo.sample.name for photo in plan if photo.owner == owner}
        sample, caption = take_rarest(hand, recent, own)
        shared_at = start + BETWEEN_PHOTOS * number + timedelta(minutes=chance.randrange(300))
        others = [person for person in people if person != owner]
        fans = chance.sample(others, k=chance.randrange(len(others) + 1))
        said = remarks(sample, others, chance)
        plan.append(PlannedPhoto(owner, sample, caption, shared_at, fans, said))
    return plan


def dealt(people: list[User], count: int, chance: random.Random) -> list[User]:
    """Return the owners of `count` photos: everybody has one, and the first people most."""
    order = chance.sample(people, k=len(people))[:count]
    weights = [1 / (rank + 2) for rank in range(len(people))]
    left = {person.pk: MOST_PHOTOS_EACH - 1 for person in people}
    while len(order) < count:
        owner = chance.choices(people, weights)[0]
        if left[owner.pk]:
            left[owner.pk] -= 1
            order.insert(chance.randrange(len(order)), owner)
    return order


def take_rarest(hand: Hand, avoid: set[str], avoid_first: set[str]) -> tuple[Sample, str]:
    """Take a card whose photograph is in neither set, else one not in `avoid`, else any."""
    for unwanted in (avoid | avoid_first, avoid):
        for position, (sample, _) in enumerate(hand):
            if sample.name not in unwanted:
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
    photo = (sharing.store if inline else sharing.share)(
        owner_id,
        clean(planned.sample),
        caption=planned.caption,
        alt=planned.sample.alt,
        created_at=planned.shared_at,
    )
    if inline:
        make_thumbnail.call(photo.pk)
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
