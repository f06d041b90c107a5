from __future__ import annotations

import struct
import zlib

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DatabaseError
from PIL import Image

from example_project.photos.models import Photo
from example_project.photos.uploads import SizeLimitHandler
from scalekit.queue.models import TaskRecord

ORIENTATION, GPS = 0x0112, 0x8825


def upload(client, file, **fields):
    return client.post("/photos/new/", {"image": file, **fields})


def error_of(response):
    assert response.status_code == 200
    assert not Photo.objects.exists()
    return response.context["form"].errors["image"][0]


def stored(file):
    with Image.open(file.path) as image:
        image.load()
        return image


def bomb():
    """A PNG of a few hundred bytes whose header claims 900 million pixels."""

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return SimpleUploadedFile(
        "b.png", png + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP"])
def test_good_photo_is_shared_with_its_thumbnail(as_ada, fmt, picture):
    response = upload(as_ada, picture(fmt=fmt), caption="Teal", alt="A plain")
    photo = Photo.objects.get()
    assert response.url == photo.get_absolute_url()
    assert (photo.width, photo.height, photo.alt) == (60, 40, "A plain")
    assert stored(photo.thumbnail).size == (640, 640)


@pytest.mark.parametrize(
    "content", [b"hello", b"GIF89a" + b"\0" * 40, b"<svg/>", b"\xff\xd8\xff\xe0"]
)
def test_what_is_no_photo_is_refused(as_ada, content):
    assert error_of(upload(as_ada, SimpleUploadedFile("photo.jpg", content)))


def test_gif_is_refused_for_its_format(as_ada, picture):
    assert "JPEG, PNG or WebP" in error_of(upload(as_ada, picture(fmt="GIF")))


def test_missing_and_empty_files_are_told(as_ada):
    assert "choose a photo" in error_of(as_ada.post("/photos/new/", {}))
    assert "empty" in error_of(upload(as_ada, SimpleUploadedFile("photo.jpg", b"")))


def test_too_large_a_file_is_refused_kindly(as_ada, settings):
    settings.PHOTOS_MAX_UPLOAD_BYTES = 1000
    response = upload(as_ada, SimpleUploadedFile("photo.jpg", b"x" * 200_000))
    assert "larger than 1000" in error_of(response)


def test_no_byte_over_the_limit_reaches_memory_or_disk(settings):
    settings.PHOTOS_MAX_UPLOAD_BYTES = 10
    handler = SizeLimitHandler()
    handler.new_file("image", "photo.jpg", "image/jpeg", None)
    assert handler.receive_data_chunk(b"x" * 10, 0) == b"x" * 10
    assert handler.receive_data_chunk(b"x", 10) is None
    kept = handler.file_complete(10)
    assert (kept.size, kept.read()) == (11, b"")


@pytest.mark.parametrize("side", [7_000, 10_000])  # ours, and where Pillow itself begins to warn
def test_too_many_pixels_are_refused(as_ada, side, picture):
    large = picture((side, side), "PNG", "1")
    assert "megapixels" in error_of(upload(as_ada, large))


def test_decompression_bomb_is_refused(as_ada):
    assert "megapixels" in error_of(upload(as_ada, bomb()))


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP"])
def test_truncated_photo_is_refused(as_ada, fmt):
    whole = Image.effect_noise((300, 300), 80).convert("RGB")
    path = SimpleUploadedFile("photo", b"")
    whole.save(path.file, fmt)
    half = path.file.getvalue()[: path.file.tell() // 2]
    assert "damaged" in error_of(upload(as_ada, SimpleUploadedFile("photo.jpg", half)))


def test_photo_is_turned_upright_and_tells_no_place(as_ada, picture):
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # held sideways
    exif.get_ifd(GPS)[1] = "N"
    upload(as_ada, picture((60, 40), exif=exif))
    kept = stored(Photo.objects.get().image)
    assert kept.size == (40, 60)
    assert not kept.getexif()


def test_transparent_photo_is_laid_on_white(as_ada):
    clear = SimpleUploadedFile("clear.png", b"")
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(clear.file, "PNG")
    upload(as_ada, SimpleUploadedFile("clear.png", clear.file.getvalue()))
    assert stored(Photo.objects.get().image).getpixel((5, 5)) == (255, 255, 255)


def test_file_names_cannot_be_guessed_and_are_served_for_good(as_ada, picture):
    upload(as_ada, picture())
    url = Photo.objects.get().image.url
    assert len(url.rpartition("/")[2]) == 36
    response = as_ada.get(url)
    assert response["Content-Type"] == "image/jpeg"
    assert "immutable" in response["Cache-Control"]


@pytest.mark.parametrize("path", ["../db.sqlite3", "photos/../../x", "photos/ab/%2e%2e", "x.jpg"])
def test_media_serves_nothing_else(client, db, path):
    assert client.get(f"/media/{path}").status_code == 404


def test_too_many_uploads_are_slowed_down(as_ada, settings, share, ada, picture):
    settings.PHOTOS_MAX_UPLOADS_PER_HOUR = 1
    share(ada)
    response = upload(as_ada, picture())
    assert "a little later" in response.text
    assert Photo.objects.count() == 1


def test_upload_needs_a_login(client, db, picture):
    assert upload(client, picture()).url == "/login/?next=/photos/new/"


def test_photo_and_its_job_are_stored_while_the_broker_is_down(
    as_ada, settings, django_capture_on_commit_callbacks, picture
):
    nowhere = {"url": "redis://127.0.0.1:1/0"}
    settings.TASKS = {"default": {"BACKEND": "scalekit.queue.backend.DramatiqBackend"}}
    settings.SCALEKIT_QUEUE_BROKER = {
        "default": {"BACKEND": "scalekit.queue.brokers.redis.RedisBroker", "OPTIONS": nowhere}
    }
    with django_capture_on_commit_callbacks(execute=True):
        upload(as_ada, picture())
    assert as_ada.get("/explore/").text.count("Developing") == 1
    assert TaskRecord.objects.get().status == "READY"


def test_there_is_no_photo_without_its_job(as_ada, monkeypatch, picture):
    def refuse(*args):
        raise DatabaseError

    monkeypatch.setattr(
        "example_project.photos.sharing.make_thumbnail", type("", (), {"enqueue": refuse})
    )
    with pytest.raises(DatabaseError):
        upload(as_ada, picture())
    assert not Photo.objects.exists()
