"""Chains of commands: what is written to a folder, and the command lines that are run there."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from tests.chains.configs import draw_data_kind, dump, make_config, write_text
from tests.chains.data_folders import MAKERS, damage_data
from tests.chains.judge import HangError, read_problems, run_command, time_limit
from tests.security.mutate import damage_run

EXPORTS: Final = ("python", "keras", "saved_model", "onnx", "litert")
_CONFIG: Final = "config.yaml"
_BUILD_MAY_FAIL: Final = ("too-large", "missing-package", "untrusted", "custom", "plot")
"""Parts of codes of problems that only a build can find."""


EXIT_CODES: Final[Counter[tuple[str, int | None]]] = Counter()
"""Command and exit code -> how often they occurred."""


@dataclass
class Chain:
    """The commands that ran in a folder, and their defects."""

    folder: Path
    rng: random.Random
    lines: list[str] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)
    needs_no_tensorflow: bool = False
    """Leave out what needs TensorFlow."""

    def run(self, *arguments: object) -> tuple[int | None, str]:
        """Run a command and keep its defects."""
        words = [str(argument) for argument in arguments]
        self.lines.append(f"layercli {' '.join(words)}")
        code, output, defects = run_command(words, self.folder)
        self.defects += [f"{words[0]}: {defect}" for defect in defects]
        EXIT_CODES[words[0], code] += 1
        return code, output

    def maybe_json(self) -> list[str]:
        """Return ``--json``, or nothing."""
        return ["--json"] if self.rng.random() < 0.5 else []


def check_texts(chain: Chain) -> None:
    """Check a config that is damaged more often than not."""
    rng = chain.rng
    document = make_config(chain.folder, rng, kind=rng.choice((None, None, *MAKERS)), wrong=0.1)
    write_text(chain.folder / _CONFIG, document, rng, damage=0.7)
    (chain.folder / "other.yaml").write_text(dump(make_config(chain.folder, rng, wrong=0)))
    _check_statically(chain)


def _check_statically(chain: Chain) -> bool:
    rng = chain.rng
    changes = rng.choice(
        ([], [], ["--set", "seed=3"], ["--set", "model.layers[0].name=x"], ["--set", "train=3"])
    )
    code, _ = chain.run("validate", _CONFIG, *chain.maybe_json(), *changes)
    commands: list[list[object]] = [
        ["inspect-shapes", _CONFIG, "--static", *rng.choice(([], ["--explain"]))],
        ["show", _CONFIG, *rng.choice(([], ["--explain"]))],
        ["diff", _CONFIG, "other.yaml", *rng.choice(([], ["--all"]))],
        ["diff", "other.yaml", _CONFIG],
        ["build", _CONFIG, "--plot", rng.choice(("m.svg", "m.mmd"))],
        ["export", _CONFIG, "--format", "python", "--output", "m.py"],
    ]
    if chain.needs_no_tensorflow:
        commands.pop()
    for command in rng.sample(commands, 2):
        chain.run(*command, *chain.maybe_json())
    return code == 0


def check_data(chain: Chain) -> None:
    """Check a config and its data, which may be damaged."""
    rng = chain.rng
    document = make_config(chain.folder, rng, kind=draw_data_kind(rng), wrong=0.02)
    write_text(chain.folder / _CONFIG, document, rng, damage=0.15)
    if rng.random() < 0.6:
        damage_data(chain.folder, rng)
    chain.run("validate", _CONFIG, *chain.maybe_json())
    trust = rng.choice(([], ["--trust"], ["--trust"]))
    chain.run("inspect-data", _CONFIG, *trust, *chain.maybe_json())


def build_model(chain: Chain) -> None:
    """Build a model that is valid, and compare the static check with Keras."""
    rng = chain.rng
    document = make_config(chain.folder, rng, wrong=0.02)
    document.pop("train", None)
    (chain.folder / _CONFIG).write_text(dump(document))
    (chain.folder / "other.yaml").write_text(dump(document))
    is_valid = _check_statically(chain)
    output = rng.choice(([], ["--output", "model.keras"]))
    code, text = chain.run("build", _CONFIG, *output, "--json")
    if is_valid and code == 1:
        problems = [problem for problem in read_problems(text) if not _may_only_build_find(problem)]
        chain.defects += [f"valid, but not built: {problem['message']}" for problem in problems]
    if output and code == 0:
        code, text = chain.run("import", "model.keras", "--output", "imported.yaml", "--json")
        if code == 0:
            chain.run("diff", _CONFIG, "imported.yaml", *chain.maybe_json())
        else:
            chain.defects += [f"built, but not imported: {each['message']}" for each in read_problems(text)]


def _may_only_build_find(problem: Mapping[str, Any]) -> bool:
    is_missing_here = any(
        text in problem["message"]
        for text in ("is learned from data", "has no vocabulary", "Cannot download")
    )
    return is_missing_here or any(part in problem["code"] for part in _BUILD_MAY_FAIL)


def train_model(chain: Chain) -> None:
    """Train a model, and use what it wrote."""
    rng = chain.rng
    document = make_config(chain.folder, rng, kind=draw_data_kind(rng), wrong=0.01)
    (chain.folder / _CONFIG).write_text(dump(document))
    if rng.random() < 0.2:
        damage_data(chain.folder, rng)
    chain.run("validate", _CONFIG, *chain.maybe_json())
    code, _ = chain.run("train", _CONFIG, "--run-dir", "runs/a/1", "--trust", *chain.maybe_json())
    if code == 0:
        _use_run(chain, Path("runs/a/1"), 3)


def use_run(chain: Chain) -> None:
    """Use a run of any stage, perhaps damaged."""
    rng = chain.rng
    stage = rng.choice(list(STAGES))
    template = make_run(rng.choice(list(MAKERS)), stage)
    shutil.copytree(template, chain.folder, dirs_exist_ok=True, symlinks=True)
    run = Path("runs/a/1")
    chain.lines.append(f"# a run of the stage {stage}")
    if stage != "fresh" and rng.random() < 0.4:
        chain.lines.append(f"# damage: {damage_run(chain.folder / run, rng)}")
    if rng.random() < 0.2:
        damage_data(chain.folder, rng)
    if rng.random() < 0.1:
        _replace_config(chain.folder / run, make_run(rng.choice(list(MAKERS)), "trained") / run)
    _use_run(chain, run, 4)


def _replace_config(run: Path, other: Path) -> None:
    """Give a run the config of another one, if both have a regular file."""
    if (run / _CONFIG).is_file() and (other / _CONFIG).is_file():
        shutil.copy(other / _CONFIG, run / _CONFIG)


def _use_run(chain: Chain, run: Path, count: int) -> None:
    rng = chain.rng
    inputs = sorted(
        path
        for path in chain.folder.iterdir()
        if path.suffix in (".csv", ".jsonl", ".parquet", ".npz", ".npy")
    )
    new = rng.choice([path.name for path in inputs] + ["images", "texts", "missing.csv"])
    commands: list[list[object]] = [
        ["evaluate", run, "--trust"],
        ["evaluate", run, "--trust", "--data", new],
        ["predict", run, "--input", new, "--output", rng.choice(("p.csv", "p.jsonl")), "--trust"],
        ["predict", run, "--part", "test", "--output", "p.csv", "--trust"],
        ["runs", "runs"],
        ["runs", run],
        ["report", run, "--output", rng.choice(("r.html", "r.md")), "--trust"],
        ["train", "--resume", run, "--trust"],
        ["train", "--resume", run, "--trust", "--allow-changes", "--set", "train.epochs=3"],
        ["diff", run, _CONFIG],
        ["import", run, "--output", "imported.yaml", "--trust"],
        ["export", run, "--format", "python", "--output", "m.py", "--trust"],
        ["export", run, "--format", "saved_model", "--output", "m", "--trust"],
        ["build", run],
        ["show", run / _CONFIG],
        ["serve"],
    ]
    if rng.random() < 0.1:
        commands = [["export", run, "--format", name, "--output", f"m-{name}", "--trust"] for name in EXPORTS]
    for command in rng.sample(commands, count):
        if command == ["serve"]:
            _serve(chain, run)
        else:
            chain.run(*command, *chain.maybe_json())


def _serve(chain: Chain, run: Path) -> None:
    """Send odd requests to a server of the run."""
    from layercli.errors import LayercliError
    from layercli.serving.served_model import ServedModel
    from tests.serving.running import make_service, serve

    rng = chain.rng
    chain.lines.append(f"# requests to `layercli serve {run}`")
    values = (1, 0.5, "a", None, [], [1, 2], {"x": 1}, [[1] * 4] * 6, True, 1e400, "")
    try:
        with time_limit():
            service = make_service(run, model=ServedModel.load(str(run), trust=True))
            with serve(service) as client:
                for _ in range(4):
                    rows = [
                        {key: rng.choice(values) for key in rng.sample(("a", "b", "n", "t", "x", "y"), 3)}
                    ]
                    body = json.dumps(
                        rng.choice((rows, {"rows": rows}, {"instances": rows}, rng.choice(values)))
                    )
                    for path in ("/predict", "/v2/models/a/infer", "/v1/models/a:predict"):
                        answer = client.request("POST", path, body, {"Content-Type": "application/json"})
                        text = answer.body.decode()
                        if answer.status >= 500 or "Traceback" in text or "tensorflow" in text:
                            chain.defects.append(f"serve {path} {body}: {answer.status} {text[:300]}")
    except LayercliError:
        return
    except HangError:
        chain.defects.append("serve: hang")


def search_and_validate_folds(chain: Chain) -> None:
    """Run a sweep of two trials, or a cross-validation."""
    rng = chain.rng
    document = make_config(chain.folder, rng, kind=draw_data_kind(rng), wrong=0)
    (chain.folder / _CONFIG).write_text(dump(document))
    space = rng.choice(
        (
            {"train.optimizer.learning_rate": {"float": [0.001, 0.1]}},
            {"train.batch_size": [4, 8]},
            {"seed": {"int": [1, 3]}},
        )
    )
    sweep = {
        "base": _CONFIG,
        "space": space,
        "objective": {"metric": "val_loss", "direction": "minimize"},
        "trials": 2,
    }
    write_text(chain.folder / "sweep.yaml", sweep, rng, damage=0.5)
    code, _ = chain.run("validate", "sweep.yaml", *chain.maybe_json())
    if code == 0 and rng.random() < 0.3:
        chain.run("sweep", "sweep.yaml", "--trust", *chain.maybe_json())
    elif rng.random() < 0.1:
        chain.run("crossval", _CONFIG, "--folds", "2", "--trust", *chain.maybe_json())


KINDS: Final[Mapping[Callable[[Chain], None], int]] = {
    check_texts: 45,
    check_data: 25,
    build_model: 15,
    search_and_validate_folds: 5,
    use_run: 7,
    train_model: 3,
}
"""Kind of chain -> its share in percent."""


def _raise_interrupt() -> None:
    raise KeyboardInterrupt


class Killed(BaseException):
    """A simulated end of the process."""


def _raise_killed() -> None:
    raise Killed


STAGES: Final[Mapping[str, Callable[[], None] | None]] = {
    "fresh": None,
    "trained": None,
    "interrupted": _raise_interrupt,
    "killed": _raise_killed,
}
"""Stage of a run -> what happens in its second step."""


@cache
def make_run(kind: str, stage: str) -> Path:
    """Return a folder with data, a config and the run ``runs/a/1`` of a stage; it is trained once per process."""
    from tests.interrupting import at_block

    folder = Path(os.environ["CHAIN_RUNS"]) / f"{kind}-{stage}"
    folder.mkdir(parents=True)
    rng = random.Random(f"{kind} 1")
    with _inside(folder), pytest.MonkeyPatch.context() as patch:
        for _ in range(10):
            document = make_config(folder, rng, kind=kind, wrong=0, count=0)
            document["train"] = {
                "epochs": 2,
                "batch_size": 8,
                "loss": document["train"]["loss"],
                "checkpoints": {"steps": 1},
            }
            document["data"] = {**document["data"], "split": {"validation": 0.25, "test": 0.25}}
            (folder / _CONFIG).write_text(dump(document))
            if run_command(["validate", _CONFIG], folder)[0] == 0:
                break
        if stage == "fresh":
            (folder / "runs/a/1").mkdir(parents=True)
            return folder
        act = STAGES[stage]
        if act is not None:
            at_block(patch, 1, act)
        with suppress(Killed):
            run_command(["train", _CONFIG, "--run-dir", "runs/a/1", "--trust"], folder)
        (folder / "runs/a/1").mkdir(parents=True, exist_ok=True)
        if not any((folder / "runs/a/1").iterdir()):
            (folder / "runs/a/1/history.jsonl").touch()
    return folder


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run_chain(seed: int, folder: Path) -> Chain:
    """Run the chain of a seed in an empty folder."""
    rng = random.Random(seed)
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    np.random.seed(seed)
    chain = Chain(folder, rng, [f"# {kind.__name__}, seed {seed}"])
    with _inside(folder):
        kind(chain)
    return chain
