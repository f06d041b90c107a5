"""nginx: with a configuration of your own, as a load balancer, or as the edge of a CDN."""

from __future__ import annotations

from .cdn_edge import CdnEdge
from .load_balancer import LoadBalancer
from .server import Nginx

__all__ = ["CdnEdge", "LoadBalancer", "Nginx"]
