"""Threads for work that releases Python's lock, such as decoding and writing files."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from layercli.graph.finding import Finding
from layercli.runtime import count_cores


def run_on_all_cores(count: int, run: Callable[[int], Finding | None]) -> list[Finding]:
    """Call ``run`` with the numbers from 0 to below ``count`` on all cores; return its findings in this order.

    Each thread takes several numbers, because handing over each one takes longer than decoding a small image.
    """
    pool, threads = _get_pool()
    threads = min(threads, count)
    if threads <= 1:
        return [finding for number in range(count) if (finding := run(number)) is not None]

    def run_share(first: int) -> list[tuple[int, Finding]]:
        return [
            (number, finding)
            for number in range(first, count, threads)
            if (finding := run(number)) is not None
        ]

    shares = list(pool.map(run_share, range(threads)))
    return [
        finding
        for _, finding in sorted((pair for share in shares for pair in share), key=lambda pair: pair[0])
    ]


@cache
def _get_pool() -> tuple[ThreadPoolExecutor, int]:
    threads = count_cores()
    return ThreadPoolExecutor(threads, thread_name_prefix="core"), threads
