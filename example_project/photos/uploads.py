"""Stop reading an upload into memory or onto the disk once it is larger than the site takes."""

from __future__ import annotations

from io import BytesIO

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler

from .conf import limit


class SizeLimitHandler(FileUploadHandler):
    """Hand small files on; of an oversized one keep only its size, for the form to complain of."""

    def new_file(self, *args: object, **kwargs: object) -> None:
        super().new_file(*args, **kwargs)
        self.received = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:  # noqa: ARG002
        self.received += len(raw_data)
        return None if self.too_large else raw_data

    def file_complete(self, file_size: int) -> UploadedFile | None:  # noqa: ARG002
        if not self.too_large:
            return None
        return UploadedFile(BytesIO(), self.file_name, self.content_type, self.received)

    @property
    def too_large(self) -> bool:
        return self.received > limit("PHOTOS_MAX_UPLOAD_BYTES")
