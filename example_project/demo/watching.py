"""What the servers say of themselves: metrics, access logs, JSON logs."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from example_project.demo.visitor import checked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from example_project.demo.site import DemoSite


class Metrics:
    """The site's ``/metrics``, over all its processes."""

    def __init__(self, site: DemoSite) -> None:
        token = {"Authorization": f"Bearer {site.metrics_token}"}
        self.http = httpx.Client(base_url=site.url, headers=token, timeout=5)

    def read(self) -> list[Any]:
        text = checked(self.http.get("/metrics")).text
        families = text_string_to_metric_families(text)
        return [sample for family in families for sample in family.samples]

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of all series of that name with these labels."""
        return sum(
            sample.value
            for sample in self.read()
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def by(self, name: str, label: str) -> Counter[str]:
        """Return the sum of the series of that name for each value of a label."""
        sums: Counter[str] = Counter()
        for sample in self.read():
            if sample.name == name:
                sums[sample.labels[label]] += sample.value
        return sums

    def reads_by_alias(self) -> Counter[str]:
        return self.by("scalekit_db_read_routed_total", "alias")


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a log that may still be written to."""
    if path.exists():
        for line in path.read_text(errors="replace").splitlines():
            if line.startswith("{") and line.endswith("}"):
                yield json.loads(line)
