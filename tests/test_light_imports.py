"""Commands that do not build a model load no framework; modules are imported on first use."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from layercli.cli import make_app
from tests.running import HANG_SECONDS

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(str(path) for path in ROOT.glob("configs/*.yaml"))
HEAVY = {"keras", "tensorflow", "numpy", "sklearn", "scipy", "pandas", "pyarrow", "h5py", "jax", "torch"}

RUN = """
from layercli.cli import main

def run(*arguments, code=0):
    sys.argv = ["layercli", *arguments]
    try:
        main()
    except SystemExit as end:
        assert (end.code or 0) == code, (arguments, end.code)
"""


def modules_after(code):
    """Return the top-level packages that a new interpreter imports for this code."""
    code = f"import sys\n{code}\nprint('\\n' + ' '.join(sys.modules), file=sys.__stdout__)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in done.stdout.split("\n")[-2].split()}


def test_help_loads_no_framework():
    code = f"{RUN}\nrun('--help')\nrun('--version')\nrun('build', '--help')\nrun('train', '--help')"
    assert not modules_after(code) & HEAVY


def test_help_lists_all_commands_without_importing_them():
    command = [sys.executable, "-c", f"import sys\n{RUN}\nrun('--help')"]
    environment = os.environ | {"COLUMNS": "80", "TERM": "dumb"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=HANG_SECONDS, check=True, env=environment
    )
    assert (
        done.stdout == CliRunner(env=environment).invoke(make_app(), ["--help"], prog_name="layercli").stdout
    )
    assert not modules_after(f"{RUN}\nrun('--help')") & {"pydantic", "yaml"}


@pytest.mark.parametrize(
    "line",
    [
        "train ",
        "train c.yaml --set train.",
        f"train {CONFIGS[0]} --set model.layers.",
        "runs --sort ",
        "layers C",
    ],
)
def test_completion_loads_no_framework_and_no_command(line, monkeypatch):
    monkeypatch.setenv("_LAYERCLI_COMPLETE", "complete_zsh")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", f"layercli {line}")
    code = f"{RUN}\nrun()\nassert not [name for name in sys.modules if name.startswith('layercli.config')]"
    assert not modules_after(code) & HEAVY


def test_validate_loads_no_framework():
    assert not modules_after(f"{RUN}\nrun('validate', '--json', *{CONFIGS})") & HEAVY


def test_static_shapes_load_no_framework():
    code = f"{RUN}\nfor config in {CONFIGS}:\n    run('inspect-shapes', '--static', config)"
    assert not modules_after(code) & HEAVY


def test_light_commands_load_no_framework(tmp_path):
    first, second = CONFIGS[:2]
    new = str(tmp_path / "new.yaml")
    shutil.copy(first, new)
    run = tmp_path / "runs" / "small" / "1"
    run.mkdir(parents=True)
    (run / "history.jsonl").write_text('{"epoch": 1, "val_loss": 0.5}')
    shutil.copy(first, run / "config.yaml")
    code = f"""
run('show', '--explain', {first!r})
run('diff', {first!r}, {second!r})
run('schema', '--output', {str(tmp_path / "s.json")!r})
run('validate', '--fix', {new!r})
run('layers', 'Dense')
run('runs', {str(run)!r}, '--sort', 'val_loss')
run('runs', {str(run)!r}, '--compare')"""
    assert not modules_after(RUN + code) & HEAVY


def test_init_loads_only_the_reader_of_tables(tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n1,0\n2,1\n3,0\n")
    code = f"{RUN}\nrun('init', {str(tmp_path / 't.csv')!r}, '--output', {str(tmp_path / 'new.yaml')!r})"
    # PyArrow loads pandas, if it is installed.
    assert modules_after(code) & HEAVY - {"pandas"} == {"numpy", "pyarrow"}


def test_invalid_config_loads_no_framework(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("model: {input: [4], layers: [Dens]}")
    code = "".join(
        f"\nrun({command!r}, {str(config)!r}, code=1)" for command in ("build", "train", "inspect-shapes")
    )
    assert not modules_after(RUN + code) & HEAVY


def test_import_layercli_loads_no_dependency():
    assert not modules_after("import layercli") & (HEAVY | {"pydantic", "yaml", "typer", "rich"})


def test_check_imports_only_used_layer_families(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("model: {input: [4], layers: [{type: Dense, units: 3}]}")
    code = f"from layercli.check import check_config\nassert check_config({str(config)!r}).ok\n"
    code += "others = {'convolutional', 'recurrent', 'attention', 'pooling', 'lookup', 'augmentation'}\n"
    code += "assert not {f'layercli.layers.families.{name}' for name in others} & set(sys.modules)"
    assert "pydantic" in modules_after(code)


def test_language_server_loads_no_framework():
    code = f"""
import io
from pathlib import Path
from tests.language_server.editor import Editor, place_of

for name in {CONFIGS}:
    path = Path(name)
    editor = Editor()
    editor.open(path)
    text = path.read_text()
    editor.hints(path)
    for method in ("hover", "completion", "definition", "codeLens"):
        editor.ask(method, path, place_of(text, "type"))
    if "target:" in text:
        editor.ask("completion", path, place_of(text, "target: ", offset=8))
"""
    assert not modules_after(code) & HEAVY


def test_validate_loads_only_the_parts_that_a_config_needs():
    config = str(ROOT / "configs" / "digits_cnn.yaml")
    code = f"import sys\n{RUN}\nrun('validate', {config!r})\nprint('\\n' + ' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_SECONDS, check=True
    )
    modules = {name.removeprefix("layercli.") for name in done.stdout.splitlines()[-1].split()}
    assert "layers.families.convolutional" in modules
    assert "importlib.metadata" not in modules
    unneeded = {
        *("config.data.tables", "config.language.feature_space", "export_formats", "graph.checks.pretrained"),
        *("graph.checks.stages", "layers.families.applications", "layers.families.recurrent", "sweep.plan"),
    }
    assert not modules & unneeded
