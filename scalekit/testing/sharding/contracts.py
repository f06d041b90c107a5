from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

import pytest

from scalekit.db.exceptions import KeyDecides, ShardKeyInvalid
from scalekit.db.sharding.base import MAX_SLOTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalekit.db.sharding.base import ShardingScheme
    from scalekit.db.sharding.keys import ShardKey

SHARDS = ("shard_0", "shard_1", "shard_2")
UNIQUE = UUID("12345678-1234-5678-1234-567812345678")
ANSWERS = (
    "import pickle, sys; make, arguments, keys = pickle.load(sys.stdin.buffer); scheme = make(**arguments); "
    "pickle.dump([(scheme.slot(key), scheme.shard_for(key)) for key in keys], sys.stdout.buffer)"
)


class ShardingSchemeContract:
    """Subclass it, name the class in `scheme_class`, and its `options` besides `shards`.

    The class must be importable by its name: it is made again in another process. `evenness` is how much more
    than its share the fullest shard may have; None where keys are not spread.
    """

    scheme_class: ClassVar[type[ShardingScheme]]
    options: ClassVar[dict[str, Any]] = {}
    keys: ClassVar[Sequence[ShardKey]] = (0, 7, -1, 2**63 - 1, "7", "ann", "", "Zoë", UNIQUE)
    evenness: ClassVar[float | None] = 1.25

    def scheme(self, shards: Sequence[str] = SHARDS) -> ShardingScheme:
        return self.scheme_class(**self._arguments(shards))

    def _arguments(self, shards: Sequence[str] = SHARDS) -> dict[str, Any]:
        return {"alias": "contract", "shards": list(shards), **self.options}

    def test_slots_fit_into_an_id(self) -> None:
        scheme = self.scheme()
        assert 1 <= scheme.slots <= MAX_SLOTS
        assert not scheme.slots & (scheme.slots - 1)
        assert all(0 <= scheme.slot(key) < scheme.slots for key in self.keys)

    def test_a_key_lies_on_one_of_the_shards_that_its_slot_names(self) -> None:
        scheme = self.scheme()
        for key in self.keys:
            assert scheme.shard_for(key) in scheme.shards_for_slot(scheme.slot(key))
            assert scheme.shard_for(key) in scheme.shards

    def test_a_slot_names_the_shard_of_its_keys_unless_keys_decide(self) -> None:
        scheme = self.scheme()
        for key in self.keys:
            if scheme.keyed:
                with pytest.raises(KeyDecides):
                    scheme.shard_for_slot(scheme.slot(key))
            else:
                assert scheme.shard_for_slot(scheme.slot(key)) == scheme.shard_for(key)

    def test_the_spellings_of_a_key_are_one_key(self) -> None:
        scheme = self.scheme()
        for key in self.keys:
            assert scheme.slot(str(key)) == scheme.slot(key)
            assert scheme.shard_for(str(key)) == scheme.shard_for(key)

    @pytest.mark.parametrize("seed", ["0", "1", "99"])
    def test_another_process_gives_the_same_answers(self, seed: str) -> None:
        scheme, keys = self.scheme(), list(self.keys)
        out = subprocess.run(
            [sys.executable, "-c", ANSWERS],
            input=pickle.dumps((self.scheme_class, self._arguments(), keys)),
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
        )
        there = pickle.loads(out.stdout)  # noqa: S301 - of our own process
        assert there == [(scheme.slot(key), scheme.shard_for(key)) for key in keys]

    def test_a_pickled_copy_gives_the_same_answers(self) -> None:
        scheme = self.scheme()
        copy: ShardingScheme = pickle.loads(pickle.dumps(scheme))  # noqa: S301 - what was just written
        assert [copy.shard_for(key) for key in self.keys] == [
            scheme.shard_for(key) for key in self.keys
        ]

    def test_keys_are_spread_evenly(self) -> None:
        scheme = self.scheme()
        if self.evenness is not None:
            shares = Counter(scheme.shard_for(key) for key in range(6000))
            assert max(shares.values()) <= self.evenness * 6000 / len(scheme.shards)
            assert set(shares) == set(scheme.shards)

    @pytest.mark.parametrize("key", [True, 1.5, None, b"7", (7,)])
    def test_what_is_no_key_is_refused(self, key: Any) -> None:
        with pytest.raises(ShardKeyInvalid):
            self.scheme().shard_for(key)

    @pytest.mark.parametrize("shards", [[], "shard_0", ["a", "a"], ["default"]])
    def test_wrong_shards_are_refused(self, shards: Any) -> None:
        with pytest.raises(ValueError, match="shards"):
            self.scheme_class(**{**self._arguments(), "shards": shards})
