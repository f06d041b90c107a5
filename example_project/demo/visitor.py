"""Somebody with a browser: cookies, forms with their CSRF token, and a way to name each answer."""

from __future__ import annotations

import re
from typing import Any

import httpx

from example_project.demo.steps import DemoFailed


class Visitor:
    """A session over HTTP. Every answer must be a success, or the visit has failed."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, follow_redirects=True, timeout=15)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return checked(self.http.get(path, headers=headers))

    def submit(
        self, path: str, data: dict[str, Any], files: Any = None, **extra: Any
    ) -> httpx.Response:
        """Send the form that stands on `path`, or on the page `extra["page"]`, as a browser would."""
        page = extra.get("page", path)
        self.get(page)
        sent = self.post(path, data, files, page)
        if sent.status_code != httpx.codes.FOUND:
            complaint = re.search(r'class="[^"]*error[^"]*"[^>]*>\s*(?:<[^>]+>)*([^<]+)', sent.text)
            why = complaint[1].strip() if complaint else f"status {sent.status_code}"
            raise DemoFailed(f"POST {path} was refused: {why}")
        self.get(sent.headers["Location"])
        return sent

    def post(
        self, path: str, data: dict[str, Any], files: Any = None, page: str = "/"
    ) -> httpx.Response:
        """Send a form, whatever the answer."""
        token = self.http.cookies.get("csrftoken")
        return self.http.post(
            path,
            data={**data, "csrfmiddlewaretoken": token},
            files=files,
            headers={"Referer": str(self.http.base_url.join(page))},
            follow_redirects=False,
        )

    def log_in(self, username: str, password: str) -> None:
        self.submit("/login/", {"username": username, "password": password})

    def status_of(self, path: str) -> int:
        """Return the status of a page, not followed elsewhere; 302 where one must log in."""
        return self.http.get(path, follow_redirects=False).status_code


def checked(response: httpx.Response) -> httpx.Response:
    if not response.is_success:
        request = response.request
        raise DemoFailed(f"{request.method} {request.url} answered {response.status_code}")
    return response
