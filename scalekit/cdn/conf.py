from __future__ import annotations

from urllib.parse import urlsplit

from scalekit.core.conf import Setting, Settings


def is_origin(url: str) -> bool:
    """Return whether `url` is a scheme and a host, and nothing after them."""
    try:
        parts = urlsplit(url)
        bare = f"{parts.scheme}://{parts.netloc}"
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and url == bare
    except ValueError:
        return False


class CdnSettings(Settings):
    prefix = "SCALEKIT_CDN_"

    URL = Setting(
        "",
        "Scheme and host of the CDN, such as https://cdn.example.com; empty: the site serves its own files.",
        kind=str,
        valid=lambda url: not url or is_origin(url),
        expected="https://host without path or slash at the end",
    )


settings = CdnSettings()
