"""Says in which data centre a request is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalekit.core.middleware import Flow, FlowMiddleware
from scalekit.regions.conf import settings
from scalekit.regions.facts import REGION

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

HEADER = "X-Region"


class RegionMiddleware(FlowMiddleware):
    """Set the fact REGION and the header X-Region, where SCALEKIT_REGION names one."""

    def flow(self, request: HttpRequest) -> Flow:  # noqa: ARG002 - the contract of flows
        region = settings.REGION
        if region:
            REGION.set(region)
        response: HttpResponseBase = yield None
        if region:
            response.headers[HEADER] = region
        return response
