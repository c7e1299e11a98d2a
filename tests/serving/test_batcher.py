"""Requests that are answered together: none waits for others if nobody else is there."""

import asyncio

import pytest

from layercli.serving.batcher import Batcher, BatchLimits
from layercli.serving.example_reader import Prepared
from layercli.serving.served_model import Answer
from tests.running import HANG_SECONDS


class EchoModel:
    """Answers each request with its number of examples."""

    def answer(self, requests):
        return [Answer({}, (), (None,) * request.count) for request in requests]


def answer_rounds(rounds, *, active, later=None, max_batch=128, turns=20, model=None):
    """Send requests in rounds, one after the other; return the number of requests of each batch.

    ``active`` are the requests that are being received, and ``later`` those after the first batch. Between two requests
    other tasks have ``turns``, so that a request for which nobody waits comes too late.
    """
    sizes, model = [], model or EchoModel()

    async def run():
        limits = BatchLimits(max_batch, max_delay=1000.0, max_queue=10, timeout=2000.0)
        batcher = Batcher(
            limits,
            lambda jobs, *_: sizes.append(jobs),
            lambda: later if sizes and later is not None else active,
        )
        answering = asyncio.create_task(batcher.run())
        for round_ in rounds:
            requests = []
            for count in round_:
                requests.append(asyncio.create_task(batcher.submit(model, Prepared(count, None))))
                for _ in range(turns):
                    await asyncio.sleep(0)
            answers = await asyncio.gather(*requests)
            assert [len(answer.errors) for answer in answers] == list(round_)
        answering.cancel()

    asyncio.run(asyncio.wait_for(run(), HANG_SECONDS))
    return sizes


def test_a_single_request_is_answered_without_delay():
    assert answer_rounds([[1], [3]], active=1) == [1, 1]


def test_requests_that_are_being_received_are_awaited():
    assert answer_rounds([[1, 2, 1]], active=3) == [3]


def test_as_many_requests_as_in_the_last_batch_are_awaited():
    assert answer_rounds([[1, 1], [1, 1]], active=2, later=0) == [2, 2]


def test_examples_beyond_the_largest_batch_are_the_next_one():
    assert answer_rounds([[2, 2, 2, 2]], active=1, max_batch=4, turns=0) == [2, 2]


def test_a_full_batch_waits_for_nobody():
    assert answer_rounds([[2], [2]], active=5, max_batch=2) == [1, 1]


def test_requests_beyond_the_queue_are_refused():
    async def run():
        limits = BatchLimits(max_batch=1, max_delay=0.0, max_queue=2, timeout=0.25)
        batcher = Batcher(limits, lambda *_: None, lambda: 1)
        requests = [asyncio.create_task(batcher.submit(EchoModel(), Prepared(1, None))) for _ in range(3)]
        found = await asyncio.gather(*requests, return_exceptions=True)
        batcher._thread.shutdown()
        return batcher.waiting, found

    waiting, found = asyncio.run(run())
    assert waiting == 2
    assert [int(error.status) for error in found] == [503, 503, 429]
    assert [error.problems[0].message for error in found] == [
        "The request was not answered within 0.25 seconds.",
        "The request was not answered within 0.25 seconds.",
        "2 requests wait already.",
    ]


def test_batches_are_of_one_model_and_leave_out_requests_that_are_given_up():
    async def run():
        first, second = EchoModel(), EchoModel()
        batcher = Batcher(BatchLimits(4, 0.0, 10, 10.0), lambda *_: None, lambda: 1)
        tasks = [
            asyncio.create_task(batcher.submit(model, Prepared(count, None)))
            for model, count in ((first, 2), (first, 2), (first, 1), (second, 1), (second, 9))
        ]
        await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.sleep(0)
        batches = []
        while batcher.waiting:
            batches.append([job.prepared.count for job in batcher._take_jobs()])
            assert batcher._has_jobs.is_set() is (batcher.waiting > 0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        batcher._thread.shutdown()
        return batches

    # The first request is cancelled; a larger request than a batch is one by itself.
    assert asyncio.run(run()) == [[2, 1], [1], [9]]


def test_bug_of_the_model_is_the_error_of_each_request():
    class Failing:
        def answer(self, requests):
            raise ZeroDivisionError(len(requests))

    with pytest.raises(ZeroDivisionError):
        answer_rounds([[1]], active=1, model=Failing())
