from __future__ import annotations

import pytest

from scalekit.cdn.headers import is_immutable
from scalekit.cdn.versioning import content_hash, hash_in, names_its_content


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("css/site.3f4e5d6c7b8a.css", "3f4e5d6c7b8a"),
        ("LICENSE.3f4e5d6c7b8a", "3f4e5d6c7b8a"),
        ("css/site.css", None),
        ("3f4e5d6c7b8a.css", None),
        ("css.3f4e5d6c7b8a/site.css", None),
        ("site.3F4E5D6C7B8A.css", None),
        ("site.3f4e5d6c7b8a0.css", None),
    ],
)
def test_hash_in_a_name(name, expected):
    assert hash_in(name) == expected


def test_the_hash_is_django_s():
    assert content_hash([b"body", b"{}"]) == "aa676972bbd2"


def test_only_the_content_makes_a_name_its_hash():
    assert names_its_content("a.aa676972bbd2.css", [b"body{}"])
    assert not names_its_content("a.202611241200.css", [b"body{}"])


def test_immutable_is_who_names_its_content(tmp_path):
    path = tmp_path / "a.aa676972bbd2.css"
    path.write_bytes(b"body{}")
    assert is_immutable(str(path), "/static/a.aa676972bbd2.css")
    path.write_bytes(b"body{color:red}")
    assert not is_immutable(str(path), "/static/a.aa676972bbd2.css")
    assert not is_immutable(str(path), "/static/a.css")
