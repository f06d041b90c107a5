"""Static files and media on a content delivery network, safe through rolling deploys.

    STORAGES["staticfiles"] = {"BACKEND": "scalekit.cdn.storage.CdnStaticFilesStorage"}
    SCALEKIT_CDN_URL = "https://cdn.example.com"

Its page: docs/journey/cdn.md.
"""
