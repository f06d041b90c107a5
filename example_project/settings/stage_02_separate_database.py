"""A database server of its own, so that more than one web server can share it."""

from .environment import postgresql, required
from .stage_01_one_server import *

DATABASES = {
    "default": postgresql(
        required("DATABASE_URL", example="postgresql://photos:secret@db.internal:5432/photos")
    ),
}
