"""Work on all cores: its order, and the threads that do it."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from layercli.data import cores
from layercli.graph.finding import Finding
from layercli.runtime import count_cores


@pytest.fixture
def use_threads(monkeypatch):
    def use_threads(count):
        pool = ThreadPoolExecutor(count, thread_name_prefix="core")
        monkeypatch.setattr(cores, "_get_pool", lambda: (pool, count))

    return use_threads


def find_odd(number):
    return Finding(code="odd", message=str(number), path=(), hint=None) if number % 2 else None


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize(("count", "expected"), [(0, []), (1, []), (2, ["1"]), (7, ["1", "3", "5"])])
def test_findings_are_in_the_order_of_the_numbers(use_threads, threads, count, expected):
    use_threads(threads)
    assert [finding.message for finding in cores.run_on_all_cores(count, find_odd)] == expected


@pytest.mark.parametrize(("threads", "count", "expected"), [(2, 1, 0), (1, 2, 0), (2, 2, 2), (3, 9, 9)])
def test_threads_are_used_for_several_numbers(use_threads, threads, count, expected):
    use_threads(threads)
    names = []
    cores.run_on_all_cores(count, lambda _: names.append(threading.current_thread().name))
    assert sum(name.startswith("core") for name in names) == expected
    assert len(names) == count


def test_cores_are_those_of_this_process(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", {0: {0, 3, 5}}.__getitem__, raising=False)
    assert count_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert count_cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert count_cores() == 1
