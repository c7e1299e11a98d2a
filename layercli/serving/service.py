"""The state of the server: its model, its limits and the requests that it is answering."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from layercli.errors import LayercliError
from layercli.serving.batcher import Batcher, BatchLimits
from layercli.serving.example_reader import Prepared
from layercli.serving.metrics import Metrics
from layercli.serving.request_errors import make_request_error
from layercli.serving.served_model import Answer, ServedModel

_BODIES_IN_MEMORY: Final = 8
"""Largest bodies that may be in memory together."""
_LARGE_BYTES: Final = 1 << 20
"""Bodies above this size are parsed one after the other."""


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """ServerLimits of requests."""

    batches: BatchLimits
    max_body: int
    """Bytes of a body."""
    hosts: frozenset[str] = frozenset()
    """Names of this machine in requests, in addition to those that every machine has."""


class Service:
    """Answers requests with the model of a run, which can be loaded again."""

    def __init__(self, run: str, model: ServedModel, limits: ServerLimits, *, trust: bool) -> None:
        self.model = model
        self.limits = limits
        self.metrics = Metrics()
        self.batcher = Batcher(limits.batches, self.metrics.observe_batch, lambda: self._active)
        self.is_draining = False
        """Whether the server ends: it is not ready, and takes no new requests."""
        self._run, self._trust = run, trust
        self._large_parsing = asyncio.Lock()
        self._active = 0
        self._body_bytes = 0
        self._reloading = asyncio.Lock()
        self._count_model()

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return not self._active

    @contextmanager
    def count_active(self) -> Iterator[None]:
        """Count a request until it is answered."""
        self._active += 1
        self.metrics.active.set(self._active)
        try:
            yield
        finally:
            self._active -= 1
            self.metrics.active.set(self._active)

    def require_open(self) -> None:
        """Check that the server takes new requests.

        Raises:
            RequestError: It ends.
        """
        if self.is_draining:
            raise make_request_error(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "server-busy",
                "The server is shutting down.",
                "Send the request again to another server.",
                retry_after=1,
            )

    def add_body_bytes(self, count: int) -> None:
        """Count bytes of bodies in memory; a negative number removes them.

        Raises:
            RequestError: There are too many.
        """
        self._body_bytes += count
        if count > 0 and self._body_bytes > _BODIES_IN_MEMORY * self.limits.max_body:
            raise make_request_error(
                HTTPStatus.TOO_MANY_REQUESTS,
                "server-busy",
                "Too many large requests are sent at the same time.",
                "Send the request again later.",
                retry_after=1,
            )

    @asynccontextmanager
    async def limit_parsing(self, size: int) -> AsyncIterator[None]:
        """Wait until no other large body is parsed: its values take many times its bytes."""
        if size <= _LARGE_BYTES:
            yield
            return
        async with self._large_parsing:
            yield

    async def predict(self, model: ServedModel, prepared: Prepared) -> Answer:
        """Return the answer to a request.

        Raises:
            RequestError: Too many requests wait, or the time has run out.
            LayercliError: The examples cannot be read, or the model refuses them.
        """
        answer = await self.batcher.submit(model, prepared)
        wrong = len(answer.errors) - answer.errors.count(None)
        self.metrics.examples.inc(len(answer.errors) - wrong)
        self.metrics.example_errors.inc(wrong)
        return answer

    async def reload(self) -> LayercliError | None:
        """Load the run again; requests that wait are answered by the model that they came for.

        Return the error if it cannot be loaded; then the model stays.
        """
        async with self._reloading:
            try:
                model = await asyncio.to_thread(ServedModel.load, self._run, trust=self._trust)
            except LayercliError as error:
                self.metrics.reloads.labels("error").inc()
                return error
            self.model = model
            self.metrics.reloads.labels("ok").inc()
            self._count_model()
            return None

    def _count_model(self) -> None:
        self.metrics.model.info({"name": self.model.name, "version": self.model.version})
