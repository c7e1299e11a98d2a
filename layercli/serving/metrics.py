"""The figures of the server for Prometheus."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_COUNTS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096)


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.requests = Counter(
            "layercli_requests", "Requests that were answered.", ("route", "status"), registry=registry
        )
        self.request_seconds = Histogram(
            "layercli_request_seconds",
            "Seconds from the head of a request to its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.examples = Counter("layercli_examples", "Examples that were predicted.", registry=registry)
        self.example_errors = Counter(
            "layercli_example_errors",
            "Examples that have an error instead of a prediction.",
            registry=registry,
        )
        self.batch_requests = Histogram(
            "layercli_batch_requests",
            "Requests that were computed together.",
            buckets=_COUNTS,
            registry=registry,
        )
        self.batch_examples = Histogram(
            "layercli_batch_examples",
            "Examples that were computed together.",
            buckets=_COUNTS,
            registry=registry,
        )
        self.batch_seconds = Histogram(
            "layercli_batch_seconds",
            "Seconds to read the examples of a batch and to compute it.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.waiting = Gauge(
            "layercli_waiting_requests", "Requests that wait for the model.", registry=registry
        )
        self.active = Gauge(
            "layercli_active_requests", "Requests that are not answered yet.", registry=registry
        )
        self.connections = Gauge("layercli_connections", "Open connections.", registry=registry)
        self.reloads = Counter(
            "layercli_reloads", "Times that the run was loaded again.", ("result",), registry=registry
        )
        self.model = Info("layercli_model", "The model that is served.", registry=registry)

    def observe_batch(self, requests: int, examples: int, seconds: float) -> None:
        """Count a batch."""
        self.batch_requests.observe(requests)
        self.batch_examples.observe(examples)
        self.batch_seconds.observe(seconds)

    def format_text(self) -> bytes:
        """Return all figures in the text format of Prometheus."""
        return generate_latest(self.registry)
