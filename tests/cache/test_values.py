from __future__ import annotations

import pytest

from scalekit.cache.exceptions import UncacheableValue, Unreadable
from scalekit.cache.values import pack, unpack


@pytest.mark.parametrize("value", [None, 0, False, "", [], (), {"a": (1, b"x")}], ids=repr)
def test_values_round_trip(value):
    assert unpack(pack(value)).value == value


def test_what_cannot_be_pickled_is_refused():
    with pytest.raises(UncacheableValue, match="function cannot be stored"):
        pack(lambda: 1)


def test_an_entry_is_read_under_its_own_key_alone():
    stored = pack("ana's page", key="user:1")
    assert unpack(stored, key="user:1").value == "ana's page"
    with pytest.raises(Unreadable, match="another key"):
        unpack(stored, key="user:2")
