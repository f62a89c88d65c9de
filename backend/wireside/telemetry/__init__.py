"""Observability: logging, Prometheus metrics, traces."""

from wireside.telemetry.counts import Telemetry
from wireside.telemetry.logs import configure_logging

__all__ = ["Telemetry", "configure_logging"]
