"""Collect requests that wait at the same time, and answer them together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus

from layercli.serving.example_reader import Prepared
from layercli.serving.request_errors import make_request_error
from layercli.serving.served_model import Answer, ServedModel


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Limits of batches and of the queue before them."""

    max_batch: int
    """Examples that are computed together; a larger request is a batch by itself."""
    max_delay: float
    """Seconds that a request waits for others at most."""
    max_queue: int
    """Requests that may wait."""
    timeout: float
    """Seconds after which a request is given up."""


@dataclass(frozen=True, slots=True)
class _Job:
    model: ServedModel
    prepared: Prepared
    arrival: float
    answer: asyncio.Future[Answer] = field(compare=False)


class Batcher:
    """Answers requests in one thread, in the order in which they come."""

    def __init__(
        self,
        limits: BatchLimits,
        observe: Callable[[int, int, float], None],
        count_active: Callable[[], int],
    ) -> None:
        self._limits = limits
        self._count_active = count_active
        """Returns the requests that are being received or wait."""
        self._expected_jobs = 1
        """The requests of the last batch: as many are likely to come again."""
        self._observe = observe
        """Called after each batch with the requests, the examples and the seconds."""
        self._waiting: deque[_Job] = deque()
        self._has_jobs = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")

    @property
    def waiting(self) -> int:
        """The requests that wait."""
        return len(self._waiting)

    async def submit(self, model: ServedModel, prepared: Prepared) -> Answer:
        """Return the answer to a request.

        Raises:
            RequestError: Too many requests wait, or the time has run out.
            LayercliError: The examples cannot be read, or the model refuses them.
        """
        if len(self._waiting) >= self._limits.max_queue:
            raise make_request_error(
                HTTPStatus.TOO_MANY_REQUESTS,
                "server-busy",
                f"{len(self._waiting):,} requests wait already.",
                "Send the request again later, or start more servers.",
                retry_after=1,
            )
        loop = asyncio.get_running_loop()
        job = _Job(model, prepared, loop.time(), loop.create_future())
        self._waiting.append(job)
        self._has_jobs.set()
        try:
            return await asyncio.wait_for(job.answer, self._limits.timeout)
        except TimeoutError:
            raise make_request_error(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "request-timeout",
                f"The request was not answered within {self._limits.timeout:g} seconds.",
                "Send fewer examples in a request, or start the server with a larger `--timeout`.",
                retry_after=1,
            ) from None

    async def run(self) -> None:
        """Answer requests until this task is cancelled."""
        try:
            while True:
                await self._has_jobs.wait()
                await self._wait_for_more()
                if jobs := self._take_jobs():
                    await self._answer_jobs(jobs)
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def _wait_for_more(self) -> None:
        """Wait until the batch is full, nobody else is expected, or the first request has waited long enough."""
        loop = asyncio.get_running_loop()
        deadline = self._waiting[0].arrival + self._limits.max_delay
        while (
            len(self._waiting) < max(self._expected_jobs, self._count_active())
            and sum(job.prepared.count for job in self._waiting) < self._limits.max_batch
        ):
            self._has_jobs.clear()
            remaining = deadline - loop.time()
            if remaining <= 0:
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(self._has_jobs.wait(), remaining)

    def _take_jobs(self) -> list[_Job]:
        """Return the first jobs that wait, of one model and within the limit."""
        jobs: list[_Job] = []
        count = 0
        while self._waiting:
            job = self._waiting[0]
            if jobs and (
                count + job.prepared.count > self._limits.max_batch or job.model is not jobs[0].model
            ):
                break
            self._waiting.popleft()
            if not job.answer.done():  # its time has run out, or its client is gone
                jobs.append(job)
                count += job.prepared.count
        if self._waiting:
            self._has_jobs.set()
        else:
            self._has_jobs.clear()
        return jobs

    async def _answer_jobs(self, jobs: Sequence[_Job]) -> None:
        self._expected_jobs = len(jobs)
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            answers: Sequence[Answer | Exception] = await loop.run_in_executor(
                self._thread, jobs[0].model.answer, [job.prepared for job in jobs]
            )
        except Exception as error:  # a bug: each request reports it
            answers = [error] * len(jobs)
        self._observe(len(jobs), sum(job.prepared.count for job in jobs), loop.time() - start)
        for job, answer in zip(jobs, answers, strict=True):
            if job.answer.done():
                continue
            if isinstance(answer, Exception):
                job.answer.set_exception(answer)
            else:
                job.answer.set_result(answer)
