"""Requests that are answered together: none waits for others if nobody else is there."""

import asyncio

from layercli.serving.batcher import Batcher, BatchLimits
from layercli.serving.example_reader import Prepared
from layercli.serving.served_model import Answer


class EchoModel:
    """Answers each request with its number of examples."""

    def answer(self, requests):
        return [Answer({}, (), (None,) * request.count) for request in requests]


def answer_rounds(rounds, *, active, later=None, max_batch=128, turns=20):
    """Send requests in rounds, one after the other; return the number of requests of each batch.

    ``active`` are the requests that are being received, and ``later`` those after the first batch. Between two requests
    other tasks have ``turns``, so that a request for which nobody waits comes too late.
    """
    sizes, model = [], EchoModel()

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

    asyncio.run(asyncio.wait_for(run(), 60))
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
