"""Several data centres: every server knows the one it stands in, and says so.

Set SCALEKIT_REGION and add `scalekit.regions.middleware.RegionMiddleware`; `scalekit.regions.facts.REGION`
then tells the region in which a request or a job began.
"""
