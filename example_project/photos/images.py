"""From a stranger's bytes to a JPEG of known size that tells nothing about where it was taken."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import IO, TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.template.defaultfilters import filesizeformat
from PIL import Image, ImageOps, UnidentifiedImageError

from .conf import limit

if TYPE_CHECKING:
    from django.core.files.uploadedfile import UploadedFile

FORMATS = ("JPEG", "PNG", "WEBP")
# Pillow warns of what may be a bomb and goes on; here it stops.
warnings.simplefilter("error", Image.DecompressionBombWarning)
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)

EMPTY = "The file is empty."
NO_IMAGE = "This is not a photo we can read. Please choose a JPEG, PNG or WebP file."
DAMAGED = "The photo is damaged or incomplete. Please try to save or upload it again."


@dataclass(frozen=True)
class CleanImage:
    content: ContentFile
    width: int
    height: int


def clean_upload(upload: UploadedFile, max_side: int | None = None) -> CleanImage:
    """Return `upload` turned upright, shrunk, without metadata; ValidationError if it cannot be.

    The checks go from cheap to dear: size in bytes, format, size in pixels (read from the header),
    and only then the pixels themselves.
    """
    check_bytes(upload)
    image = open_image(upload)
    check_pixels(image)
    return encode(decode(image, max_side or limit("PHOTOS_MAX_SIDE")))


def make_thumbnail(file: IO[bytes], side: int) -> ContentFile:
    """Return the middle square of the image as a JPEG of `side` by `side` pixels."""
    with Image.open(file, formats=FORMATS) as image:
        square = ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.LANCZOS)
        return encode(square, quality=80).content


def check_bytes(upload: UploadedFile) -> None:
    if not upload.size:
        raise ValidationError(EMPTY, code="empty")
    most = limit("PHOTOS_MAX_UPLOAD_BYTES")
    if upload.size > most:
        msg = f"The photo is larger than {filesizeformat(most)}. Please choose a smaller one."
        raise ValidationError(msg, code="too_large")


def open_image(file: IO[bytes]) -> Image.Image:
    try:
        return Image.open(file, formats=FORMATS)
    except UnidentifiedImageError as error:
        raise ValidationError(NO_IMAGE, code="no_image") from error
    except BOMBS as error:
        raise ValidationError(too_many_pixels(), code="too_many_pixels") from error
    except Exception as error:  # Pillow's readers raise what their format library raises
        raise ValidationError(DAMAGED, code="damaged") from error


def check_pixels(image: Image.Image) -> None:
    if image.width * image.height > limit("PHOTOS_MAX_PIXELS"):
        raise ValidationError(too_many_pixels(), code="too_many_pixels")


def too_many_pixels() -> str:
    most = limit("PHOTOS_MAX_PIXELS") // 1_000_000
    return f"The photo has more than {most} megapixels. Please choose a smaller one."


def decode(image: Image.Image, max_side: int) -> Image.Image:
    """Return the pixels: upright, in RGB, no side longer than `max_side`."""
    try:
        image.draft(
            "RGB", (max_side, max_side)
        )  # a large JPEG is decoded at a fraction of its size
        upright = ImageOps.exif_transpose(image)
        profile = image.info.get("icc_profile") if image.mode == "RGB" else None
        result = flatten(upright)
    except Exception as error:  # truncated and corrupt files raise half a dozen exception types
        raise ValidationError(DAMAGED, code="damaged") from error
    result.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    result.info = {"icc_profile": profile} if profile else {}
    return result


def flatten(image: Image.Image) -> Image.Image:
    """Return `image` in RGB, on white where it was transparent."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    ground = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(ground, layer).convert("RGB")


def encode(image: Image.Image, quality: int = 85) -> CleanImage:
    """Return `image` as a JPEG; EXIF is left out, and with it the place it was taken at."""
    buffer = BytesIO()
    image.save(
        buffer,
        "JPEG",
        quality=quality,
        optimize=True,
        progressive=True,
        icc_profile=image.info.get("icc_profile"),
    )
    return CleanImage(ContentFile(buffer.getvalue(), name="photo.jpg"), image.width, image.height)
