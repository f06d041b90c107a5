from __future__ import annotations

from scalekit.core.conf import Setting, Settings
from scalekit.regions.region import is_region


class RegionSettings(Settings):
    prefix = "SCALEKIT_"

    REGION = Setting[str](
        "",
        "The name of the data centre that this server stands in.",
        kind=str,
        valid=lambda name: name == "" or is_region(name),
        expected='a name such as "eu-1": letters, digits and hyphens, 63 at most',
    )


settings = RegionSettings()
