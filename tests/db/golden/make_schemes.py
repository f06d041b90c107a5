"""Write schemes.json: where keys lie by every scheme. What it has is never changed; new cases are added.

python tests/db/golden/make_schemes.py
"""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

from scalekit.db.sharding.jump import Jump
from scalekit.db.sharding.modulo import Modulo
from scalekit.db.sharding.ranges import Ranges
from scalekit.db.sharding.ring import Ring
from scalekit.db.sharding.slots import Slots

FILE = Path(__file__).with_name("schemes.json")
CLASSES = {scheme.__name__: scheme for scheme in (Slots, Modulo, Ring, Jump, Ranges)}
KINDS = {"int": int, "str": str, "uuid": UUID}

SEVEN = [f"shard_{number}" for number in range(7)]
INTS = [0, 1, 7, -1, 1000, 1001, 123_456_789, 2**63 - 1]
TEXTS = ["", "7", "0042", "ann", "Zoë", "user@example.com", "a" * 200]
UUIDS = [UUID(int=1), UUID("12345678-1234-5678-1234-567812345678"), UUID(int=2**128 - 1)]
EVERY = [*(("int", k) for k in INTS), *(("str", k) for k in TEXTS), *(("uuid", k) for k in UUIDS)]

CASES = {
    "slots": ("Slots", {"shards": SEVEN}, EVERY),
    "slots of 64, weighted": (
        "Slots",
        {"shards": SEVEN, "slots": 64, "weights": {"shard_1": 5}},
        EVERY,
    ),
    "modulo": ("Modulo", {"shards": SEVEN}, EVERY),
    "ring": ("Ring", {"shards": SEVEN}, EVERY),
    "ring, weighted": ("Ring", {"shards": SEVEN, "vnodes": 40, "weights": {"shard_2": 3}}, EVERY),
    "jump": ("Jump", {"shards": SEVEN}, EVERY),
    "ranges of int": (
        "Ranges",
        {"shards": SEVEN, "boundaries": [0, 7, 1001, 10**9]},
        [("int", k) for k in INTS],
    ),
    "ranges of str": (
        "Ranges",
        {"shards": SEVEN, "boundaries": ["a", "b", "u"]},
        [("str", k) for k in TEXTS],
    ),
    "ranges of uuid": (
        "Ranges",
        {"shards": SEVEN, "boundaries": [UUID(int=2), UUID(int=2**127)]},
        [("uuid", k) for k in UUIDS],
    ),
}


def made(name: str) -> list[list[object]]:
    """Return ``[kind, key, slot, shard]`` of each key of a case."""
    kind, options, keys = CASES[name]
    scheme = CLASSES[kind]("golden", **options)
    return [[of, str(key), scheme.slot(key), scheme.shard_for(key)] for of, key in keys]


def answers(name: str, vectors: list[list[object]]) -> list[list[object]]:
    """Return what the vectors of a case are by this code, in this process."""
    kind, options, _ = CASES[name]
    scheme = CLASSES[kind]("golden", **options)
    keys = [(of, text, KINDS[of](text)) for of, text, *_ in vectors]
    return [[of, text, scheme.slot(key), scheme.shard_for(key)] for of, text, key in keys]


def main() -> None:
    known = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
    for name in CASES:
        known.setdefault(name, made(name))
    lines = ",\n".join(
        f"{json.dumps(n)}: {json.dumps(v, ensure_ascii=False)}" for n, v in known.items()
    )
    FILE.write_text(f"{{\n{lines}\n}}\n", "utf-8")


if __name__ == "__main__":
    main()
