from __future__ import annotations

import pytest

from scalekit.core.bearer import bears


@pytest.mark.parametrize(
    ("header", "good"),
    [
        ("Bearer secret", True),
        ("bearer   secret ", True),
        ("Bearer secre", False),
        ("Basic secret", False),
        ("secret", False),
        ("Bearer \u00fc", False),
        ("", False),
    ],
)
def test_who_bears_a_token(rf, header, good):
    assert bears(rf.get("/", headers={"authorization": header}), "secret") is good


def test_nobody_bears_an_empty_token(rf):
    assert bears(rf.get("/", headers={"authorization": "Bearer "}), "") is False
