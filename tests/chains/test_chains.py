"""Commands in chains over generated configs, data and runs have no defects; `LAYERCLI_CHAINS=5000` runs many."""

import os
import random
import time

import pytest

from tests.chains import chains
from tests.chains.judge import run_command, time_limit

COUNT = int(os.environ.get("LAYERCLI_CHAINS", "0"))
QUICK = (chains.check_texts, chains.check_data)
"""Kinds of chains without TensorFlow."""


@pytest.fixture(autouse=True)
def stages(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CHAIN_RUNS", str(tmp_path_factory.getbasetemp() / "stages"))


@pytest.mark.parametrize("kind", QUICK, ids=lambda kind: kind.__name__)
def test_static_chains_have_no_defects(kind, tmp_path, monkeypatch):
    # A script is exported by running its model, which needs TensorFlow.
    defects = []
    for seed in range(12):
        folder = tmp_path / str(seed)
        folder.mkdir()
        monkeypatch.chdir(folder)
        chain = chains.Chain(folder, random.Random(seed), needs_no_tensorflow=True)
        kind(chain)
        defects += [(seed, chain.lines, defect) for defect in chain.defects]
    assert defects == []


@pytest.mark.tensorflow
@pytest.mark.parametrize("seed", range(1001, 1001 + (COUNT or 4)))
def test_chains_have_no_defects(seed, tmp_path):
    chain = chains.run_chain(seed, tmp_path)
    assert chain.defects == [], chain.lines


def test_command_that_hangs_or_fails_is_a_defect(tmp_path, monkeypatch):
    from tests.chains import judge

    def hang(*_):
        raise judge.HangError

    monkeypatch.setattr(judge, "invoke", hang)
    assert run_command(["validate"], tmp_path)[2] == ["hang: more than 120 s of processor time"]


def test_time_limit_ends_a_block():
    from tests.chains.judge import HangError

    with pytest.raises(HangError), time_limit(0.1):
        time.sleep(60)


@pytest.mark.parametrize(
    ("code", "stdout", "stderr", "defect"),
    [
        (3, "", "Internal error", "exit code 3: Internal error"),
        (1, "", "", "no message on standard error"),
        (1, "a.yaml:1:1: error: x", "y", "error on standard output: a.yaml:1:1: error: x"),
        (1, "", "ValueError: no", "raw message 'ValueError:': ValueError: no"),
        (0, "Traceback", "", "raw message 'Traceback': Traceback"),
        (0, "fine", "", None),
    ],
)
def test_defects_of_an_answer(tmp_path, monkeypatch, code, stdout, stderr, defect):
    from types import SimpleNamespace

    from tests.chains import judge

    result = SimpleNamespace(exit_code=code, stdout=stdout, stderr=stderr, exception=None)
    monkeypatch.setattr(judge, "invoke", lambda *_: result)
    assert run_command(["show"], tmp_path)[2] == ([defect] if defect else [])


def test_file_that_an_error_leaves_is_a_defect(tmp_path, monkeypatch):
    from types import SimpleNamespace

    from tests.chains import judge

    def fail(*_):
        (tmp_path / "m.py").touch()
        (tmp_path / ".partial-abcdefgh").touch()
        return SimpleNamespace(exit_code=1, stdout="", stderr="no", exception=None)

    monkeypatch.setattr(judge, "invoke", fail)
    defects = run_command(["export", "--output", "m.py"], tmp_path)[2]
    assert defects == ["left after an error: m.py", "temporary file left: .partial-abcdefgh"]
