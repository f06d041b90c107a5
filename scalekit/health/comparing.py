"""Compare web servers by what ``/version`` tells of them."""

from __future__ import annotations

import json
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

Told = dict[str, Any]
KEY = "secret key"


def ask(server: str, token: str, timeout: float) -> Told:
    """Return what one server, such as ``http://10.0.0.11:8000``, tells. Raises OSError or ValueError."""
    if not server.startswith(("http://", "https://")):
        msg = f"{server} is no address: write http://{server}"
        raise ValueError(msg)
    url = f"{server.rstrip('/')}/version"
    request = Request(url)  # noqa: S310 - http(s), see above
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")  # for this server alone
    try:
        with urlopen(request, timeout=timeout) as answer:  # noqa: S310 - as above
            told = json.load(answer)
    except HTTPError as error:
        msg = f"{url} answered {error.code}: is HealthMiddleware first of its MIDDLEWARE?"
        raise OSError(msg) from error
    except (OSError, ValueError) as error:
        msg = f"{url}: {error}"
        raise OSError(msg) from error
    if not isinstance(told, dict) or "fingerprints" not in told:
        msg = (
            f"{url} does not tell us: set SCALEKIT_HEALTH_TOKEN there and give it with --token, or come from one of "
            "its SCALEKIT_HEALTH_NETWORKS."
        )
        raise ValueError(msg)
    return told


def differences(told: dict[str, Told]) -> dict[str, dict[str, Any]]:
    """Return what is not alike, and each server's value of it.

    Where the secret keys differ nothing else is compared but the release: the fingerprints are keyed with it.
    """
    flat = {server: _flat(answer) for server, answer in told.items()}
    names = dict.fromkeys(name for answer in flat.values() for name in answer)
    found = {}
    for name in names:
        values = {server: answer.get(name) for server, answer in flat.items()}
        if len({repr(value) for value in values.values()}) > 1:
            found[name] = values
    unkeyed = {KEY, "django"}
    return {
        n: v
        for n, v in found.items()
        if KEY not in found or n in unkeyed or n.startswith("release")
    }


def _flat(answer: Told) -> Told:
    released = {f"release {k}": v for k, v in answer.items() if k != "fingerprints"}
    return {**answer["fingerprints"], **released}
