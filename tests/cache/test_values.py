"""What is stored: an envelope that only this project can have written, for this key, and can still read."""

from __future__ import annotations

import hashlib
import pickle
import sys
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalekit.cache.exceptions import UncacheableValue, Unreadable
from scalekit.cache.serializers.json import JsonSerializer
from scalekit.cache.serializers.pickle import PickleSerializer
from scalekit.cache.values import FORMAT, pack, unpack

ran: list[str] = []
both_digests = pytest.mark.parametrize("digest", ["blake2b", "hmac-sha256"])
SIGNATURE = 16  # bytes, the last of an entry


class Bomb:
    """Runs code when it is unpickled, as an attacker's value would."""

    def __reduce__(self):
        return ran.append, ("code of the attacker",)


@pytest.fixture(autouse=True)
def nothing_ran():
    ran.clear()


@pytest.mark.parametrize("value", [None, 0, False, "", [], (), {"a": (1, b"x")}], ids=repr)
def test_values_round_trip(value):
    assert unpack(pack(value)).value == value


def test_what_cannot_be_pickled_is_refused():
    with pytest.raises(UncacheableValue, match="function cannot be stored"):
        pack(lambda: 1)


def test_an_entry_says_when_it_was_made_and_what_ends_it():
    entry = unpack(pack(1, created=1000.0, delta=0.5, soft_ttl=60, stamps=b"12345678"))
    assert entry[2:] == (1000.0, 0.5, 1060.0, b"12345678")
    assert unpack(pack(1)).soft_expiry == float("inf")


def test_every_entry_has_an_id_of_its_own_where_lua_finds_it():
    one, other = pack(1), pack(1)
    assert unpack(one).id == one[6:14] != other[6:14]


def test_an_entry_is_read_under_its_own_key_alone():
    stored = pack("ana's page", key="user:1")
    assert unpack(stored, key="user:1").value == "ana's page"
    with pytest.raises(Unreadable, match="another key"):
        unpack(stored, key="user:2")


@both_digests
def test_what_others_pickled_is_never_unpickled(settings, digest):
    settings.SCALEKIT_CACHE_DIGEST = digest
    forged = pack(1)[:-SIGNATURE] + pickle.dumps(Bomb())
    for stored in (forged, forged + bytes(SIGNATURE), pickle.dumps(Bomb()), FORMAT + forged):
        with pytest.raises(Unreadable):
            unpack(stored)
    assert ran == []


@both_digests
def test_what_we_pickled_is_read_by_either_digest(settings, digest):
    settings.SCALEKIT_CACHE_DIGEST = digest
    assert unpack(pack({"a": 1})).value == {"a": 1}


def test_another_digest_than_the_configured_is_refused(settings):
    settings.SCALEKIT_CACHE_DIGEST = "hmac-sha256"
    stored = pack(1)
    settings.SCALEKIT_CACHE_DIGEST = "blake2b"
    with pytest.raises(Unreadable, match="signature"):
        unpack(stored)


@pytest.mark.parametrize("weak", ["md5", "sha1", "sha256"])
def test_a_digest_without_the_secret_is_refused(weak):
    entry = pack(Bomb())[:-SIGNATURE]
    with pytest.raises(Unreadable, match="signature"):
        unpack(entry + hashlib.new(weak, entry).digest()[:SIGNATURE])
    assert ran == []


@given(st.data())
def test_one_flipped_bit_makes_it_unreadable(data):
    stored = bytearray(pack({"a": "b" * 20}, stamps=b"12345678"))
    bit = data.draw(st.integers(0, len(stored) * 8 - 1))
    stored[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Unreadable):
        unpack(bytes(stored))


def test_a_truncated_entry_is_unreadable():
    stored = pack({"a": 1})
    for length in range(len(stored)):
        with pytest.raises(Unreadable):
            unpack(stored[:length])


@given(st.binary(max_size=100) | st.binary(max_size=100).map(lambda rest: FORMAT + b"p" + rest))
def test_garbage_is_unreadable(stored):
    with pytest.raises(Unreadable):
        unpack(stored)


@pytest.mark.parametrize("stored", [None, "text", 7, {"a": 1}], ids=repr)
def test_what_is_no_bytes_is_unreadable(stored):
    with pytest.raises(Unreadable):
        unpack(stored)


def test_an_entry_of_another_serializer_is_unreadable_though_it_is_ours():
    stored = pack(Bomb(), serializer=PickleSerializer("default"))
    with pytest.raises(Unreadable, match="another serializer"):
        unpack(stored, serializer=JsonSerializer("default"))
    assert ran == []


def test_a_value_of_a_class_that_is_gone_is_unreadable(monkeypatch):
    module = ModuleType("shop_before_the_deploy")
    module.Basket = type("Basket", (), {"__module__": module.__name__})
    monkeypatch.setitem(sys.modules, module.__name__, module)
    stored = pack(module.Basket())
    del module.Basket
    with pytest.raises(Unreadable, match="Basket"):
        unpack(stored)
    monkeypatch.delitem(sys.modules, module.__name__)
    with pytest.raises(Unreadable, match="No module named"):
        unpack(stored)


def test_the_secret_key_is_rotated_without_losing_the_cache(settings):
    stored = pack("kept")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", [settings.SECRET_KEY]
    assert unpack(stored).value == "kept"
    fresh = pack("by the new one")
    settings.SECRET_KEY_FALLBACKS = []
    assert unpack(fresh).value == "by the new one"
    with pytest.raises(Unreadable):
        unpack(stored)


@pytest.mark.parametrize("zstd", [True, False])
def test_large_values_are_stored_small(settings, monkeypatch, zstd):
    if not zstd:
        monkeypatch.setattr("scalekit.cache.compression._zstd", lambda: None)
    value = [{"name": f"user {n}", "photos": 0} for n in range(1000)]
    stored = pack(value)
    assert unpack(stored).value == value
    settings.SCALEKIT_CACHE_COMPRESS_ABOVE = None
    assert len(stored) < len(pack(value)) / 2
    assert unpack(stored).value == value


def test_small_and_incompressible_values_are_stored_as_they_are(settings):
    settings.SCALEKIT_CACHE_COMPRESS_ABOVE = 100
    noise = hashlib.shake_128(b"seed").digest(1000)
    assert b"x" * 80 in pack(b"x" * 80)
    assert noise in pack(noise)


def test_a_server_without_zstandard_takes_its_values_for_misses(monkeypatch):
    stored = pack("x" * 10_000)
    monkeypatch.setattr("scalekit.cache.compression._zstd", lambda: None)
    with pytest.raises(Unreadable, match="cannot read"):
        unpack(stored)


def test_values_of_a_megabyte_are_read(settings):
    settings.SCALEKIT_CACHE_COMPRESS_ABOVE = None
    assert unpack(pack("x" * 2**20)).value == "x" * 2**20
