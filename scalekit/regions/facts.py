from __future__ import annotations

from scalekit.core.context import Fact
from scalekit.regions.region import region_from

# The region in which this unit of work began; a queued job keeps that of the request that sent it.
REGION: Fact[str] = Fact("region", "", portable=True, logged=True, load=region_from)
