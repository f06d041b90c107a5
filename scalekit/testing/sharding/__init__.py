"""What a sharding scheme of your own must keep.

class TestRendezvous(ShardingSchemeContract):
    scheme_class = Rendezvous
"""

from __future__ import annotations

from scalekit.testing.sharding.contracts import ShardingSchemeContract

__all__ = ["ShardingSchemeContract"]
