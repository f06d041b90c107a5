from __future__ import annotations

from io import BytesIO

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from example_project.photos import images, sharing
from example_project.photos.models import Profile


@pytest.fixture(autouse=True)
def _own_files(settings, tmp_path):
    """Give every test an empty media folder, an empty cache, and passwords that are cheap to hash."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()


@pytest.fixture
def person(db):
    """Make a member: ``person("ada")``."""

    def make(username, password=None):
        user = get_user_model().objects.create_user(username, password=password)
        Profile.objects.create(user=user, name=username.title())
        return user

    return make


@pytest.fixture
def ada(person):
    return person("ada", "correct horse battery")


@pytest.fixture
def as_ada(client, ada):
    client.force_login(ada)
    return client


@pytest.fixture
def picture():
    """Return an upload of one colour: ``picture((60, 40), "PNG")``."""

    def make(size=(60, 40), fmt="JPEG", mode="RGB", **saving):
        buffer = BytesIO()
        Image.new(mode, size).save(buffer, fmt, **saving)
        return SimpleUploadedFile(f"photo.{fmt.lower()}", buffer.getvalue())

    return make


@pytest.fixture
def share(picture):
    """Share a small photo of `owner`."""

    def make(owner, caption="", thumbnail=True):
        image = images.clean_upload(picture())
        storing = sharing.share if thumbnail else sharing.store
        return storing(owner.pk, image, caption=caption)

    return make
