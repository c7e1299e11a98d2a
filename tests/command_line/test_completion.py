"""Shell completion: what is offered, and the protocols of bash, zsh and fish."""

import json
import os
import shutil
import subprocess

import pytest
import yaml

from layercli.cli import COMMANDS
from layercli.command_line.completion import TABLE_FILE, complete_words
from layercli.layers.registry import LAYERS
from tests.completion_table import render_completion_table
from tests.running import CONFIGS, HANG_SECONDS, LAYERCLI, invoke, write_config


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """The current folder: two configs in a folder, and a run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    for name in ("digits_cnn", "iris_csv"):
        shutil.copy(CONFIGS / f"{name}.yaml", tmp_path / "configs")
    (tmp_path / "configs" / "notes.txt").touch()
    make_run(tmp_path / "runs" / "flowers" / "1", {"loss": 0.5, "val_auc": 0.9}, {"auc": 0.8})
    return tmp_path


def make_run(path, best, test):
    path.mkdir(parents=True)
    (path / "manifest.json").write_text('{"versions": {}, "files": {"model.keras": ""}}')
    summary = {"ok": True, "run": str(path), "epochs": 3, "history": {}, "seconds": 1.0, "parameters": 9}
    results = {"best": {"epoch": 2, "monitor": "loss"} | best, "test": test}
    (path / "summary.json").write_text(json.dumps(summary | results))
    shutil.copy(CONFIGS / "iris_csv.yaml", path / "config.yaml")


def complete(text):
    return [*complete_words(text.split(" "), list(COMMANDS))]


def ask_shell(name, **variables):
    """Run the program as the script of a shell does; return the exit code and the output."""
    environment = os.environ | {"_LAYERCLI_COMPLETE": f"complete_{name}"} | variables
    done = subprocess.run(
        [LAYERCLI], capture_output=True, text=True, timeout=HANG_SECONDS, check=False, env=environment
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_table_is_current():
    """Fix a failure with ``python -m tests.cli_reference``."""
    assert TABLE_FILE.read_text(encoding="utf-8") == render_completion_table()


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("tr", ["train"]),
        ("inspect-", ["inspect-shapes", "inspect-data"]),
        ("-", ["--version", "--help"]),
        ("nonsense ", []),
        ("export runs/flowers/1 --format ", ["keras", "saved_model", "onnx", "litert", "python"]),
        ("export runs/flowers/1 -f o", ["onnx"]),
        ("export runs/flowers/1 -f onnx --q", ["--quantize"]),
        ("evaluate x --part t", ["train", "test"]),
        ("layers Conv1", ["Conv1D", "Conv1DTranspose"]),
        ("layers lst", ["lstM", "lstMCell"]),
        ("layers Dense ", []),
        ("init --example iris", ["iris_csv"]),
        ("schema --command sh", ["show"]),
        ("evaluate ", ["runs/flowers/1"]),
        ("train --resume runs/f", ["runs/flowers/1"]),
        ("report runs/flowers/1 ", ["runs/flowers/1"]),
        ("train c", ["configs/digits_cnn.yaml", "configs/iris_csv.yaml"]),
        ("train configs/i", ["configs/iris_csv.yaml"]),
        ("validate configs/iris_csv.yaml configs/d", ["configs/digits_cnn.yaml"]),
        ("diff ", ["configs/", "runs/", "runs/flowers/1"]),
        ("train --json --quiet configs/i", ["configs/iris_csv.yaml"]),
        ("train ../", None),
        ("train none/", []),
        ("predict runs/flowers/1 --input ", []),
        ("runs --sort val", ["val_auc"]),
        ("runs --sort test", ["test_auc"]),
        ("runs runs/flowers --sort b", ["best_epoch"]),
        ("runs configs --sort val", []),
        ("train --set tr", None),
        ("train --set train.ep", ["train.epochs=", "train.epochs=VALUE"]),
        ("train configs/digits_cnn.yaml --set train.ep", ["train.epochs=", "train.epochs=20"]),
        ("train configs/digits_cnn.yaml --set train.epochs=", ["train.epochs=20"]),
        (
            "train --set train.distribution=m",
            ["train.distribution=mirrored", "train.distribution=multi_worker"],
        ),
        ("train --set train.diagnostics=", ["train.diagnostics=true", "train.diagnostics=false"]),
        (
            "train --set train.optimizer.type=Adam",
            ["train.optimizer.type=Adam", "train.optimizer.type=AdamW", "train.optimizer.type=Adamax"],
        ),
        ("train --set nothing=", []),
        ("train --set x=1 configs/iris_csv.yaml --set data.path=", ["data.path=data/iris.csv"]),
        (
            "train configs/digits_cnn.yaml --set model.layers.digit.un",
            ["model.layers.digit.units=", "model.layers.digit.units=10"],
        ),
        (
            "train configs/digits_cnn.yaml --set model.layers.digit.use",
            ["model.layers.digit.use_bias=", "model.layers.digit.use_bias=VALUE"],
        ),
        (
            "train configs/digits_cnn.yaml --set train.optimizer.beta",
            ["train.optimizer.beta_1", "train.optimizer.beta_2"],
        ),
        ("train configs/iris_csv.yaml --set data.pat", ["data.path=", "data.path=data/iris.csv"]),
    ],
)
def test_offered_values(text, offered):
    found = complete(text)
    assert found if offered is None else found == offered


def test_examples_are_sorted():
    found = complete("init --example ")
    assert found == sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def test_options_have_their_help_texts():
    found = complete_words(["train", "config.yaml", "--re"], list(COMMANDS))
    assert list(found) == ["--resume"]
    assert found["--resume"].startswith("Resume")


def test_every_command_offers_its_options():
    for name in COMMANDS:
        assert "--help" in complete(f"{name} -"), name
        assert ("--json" in complete(f"{name} -")) == ("--json" in invoke(name, "--help").stdout)


def test_every_layer_is_offered():
    assert complete("layers ") == [*LAYERS.names]


def test_many_keys_are_offered_step_by_step():
    assert complete("train configs/digits_cnn.yaml --set ") == ["name", "seed", "model.", "train.", "data."]
    found = complete("train configs/digits_cnn.yaml --set model.layers.")
    assert "model.layers.digit." in found
    assert "model.layers.0." in found


def test_offered_keys_are_accepted(place):
    config = write_config(place, [{"type": "Dense", "units": 3, "activation": "softmax", "name": "head"}])
    for key, value in [
        ("train.epochs", 5),
        ("train.optimizer.beta_1", 0.8),
        ("model.layers.head.use_bias", "false"),
    ]:
        assert f"{key}=" in complete(f"train {config.name} --set {key}")
        assert invoke("validate", config, "--set", f"{key}={value}").exit_code == 0


def test_offered_results_are_accepted():
    keys = complete("runs --sort ")
    assert keys[-3:] == ["loss", "val_auc", "test_auc"]
    for key in keys:
        if key != "examples_per_second":  # which this run does not have
            assert invoke("runs", "--sort", key).exit_code == 0, key


def test_damaged_files_are_skipped(place):
    make_run(place / "runs" / "flowers" / "2", {}, {})
    (place / "runs" / "flowers" / "2" / "summary.json").write_text('{"best": [')
    (place / "bad.yaml").write_text("a: [")
    assert "val_auc" in complete("runs --sort ")
    assert ask_shell("bash", COMP_WORDS="layercli train bad.yaml --set train.ep", COMP_CWORD="4")[1] == ""


@pytest.mark.parametrize(
    "name", ["$(touch hit)", "`touch hit`", "\\$(touch hit)", "a'b", 'a"b', "a b", "a\nb", "\x1b[2J"]
)
def test_names_that_a_shell_could_evaluate_are_not_offered(place, name):
    layer = {"type": "Dense", "units": 3, "name": name}
    (place / "c.yaml").write_text(yaml.safe_dump({"model": {"input": [4], "layers": [layer]}}))
    (place / "configs" / name).mkdir()
    assert [
        found
        for found in complete("train c.yaml --set model.layers.")
        if not found.isascii() or set(found) & set(name) - set("abtouch hit")
    ] == []
    assert complete("train configs/") == ["configs/digits_cnn.yaml", "configs/iris_csv.yaml"]


def test_bash_splits_words_at_equals_signs():
    words = "layercli train configs/digits_cnn.yaml --set seed = 1 --set train.distribution"
    assert ask_shell("bash", COMP_WORDS=f"{words} = m", COMP_CWORD="10") == (0, "mirrored\nmulti_worker\n")
    assert ask_shell("bash", COMP_WORDS=f"{words} =", COMP_CWORD="9") == (
        0,
        "auto\nnone\nmirrored\nmulti_worker\n",
    )
    assert ask_shell("bash", COMP_WORDS=words, COMP_CWORD="8") == (
        0,
        "train.distribution=\ntrain.distribution=auto\ntrain.distribution=none\ntrain.distribution=mirrored\ntrain.distribution=multi_worker\n",
    )


def test_bash_completes_a_new_word():
    assert ask_shell("bash", COMP_WORDS="layercli export", COMP_CWORD="2") == (0, "runs/flowers/1\n")
    assert ask_shell("bash", COMP_WORDS="layercli", COMP_CWORD="1")[1].split() == [*COMMANDS]


@pytest.mark.parametrize("position", ["", "0", "x", "-3", "99"])
def test_invalid_position_offers_nothing_or_the_last_word(position):
    code, output = ask_shell("bash", COMP_WORDS="layercli tr", COMP_CWORD=position)
    assert (code, output) == (0, "")


def test_zsh_gets_arguments_with_descriptions():
    code, output = ask_shell("zsh", _TYPER_COMPLETE_ARGS="layercli train c.yaml --res")
    assert code == 0
    assert output.startswith("""_arguments '*: :(("--resume":"Resume""")
    assert output.endswith("""))'\n""")
    _, output = ask_shell("zsh", _TYPER_COMPLETE_ARGS="layercli layers Conv1")
    assert output == """_arguments '*: :(("Conv1D"\n"Conv1DTranspose"))'\n"""
    assert ask_shell("zsh", _TYPER_COMPLETE_ARGS="layercli predict runs/x --input ") == (0, "_files\n")


def test_fish_gets_lines_with_descriptions():
    line = "layercli export runs/flowers/1 --format "
    arguments = {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    assert ask_shell("fish", **arguments) == (0, "keras\nsaved_model\nonnx\nlitert\npython\n")
    _, output = ask_shell("fish", **arguments | {"_TYPER_COMPLETE_ARGS": "layercli export x --ops"})
    assert output == "--opset\tONNX opset version.\n"
    assert ask_shell("fish", **arguments | {"_TYPER_COMPLETE_FISH_ACTION": "is-args"}) == (0, "")
    files = arguments | {"_TYPER_COMPLETE_ARGS": "layercli init x", "_TYPER_COMPLETE_FISH_ACTION": "is-args"}
    assert ask_shell("fish", **files) == (1, "")


def test_script_of_bash_works():
    script = f"""
export PATH={LAYERCLI.parent}:$PATH _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION=1
eval "$(layercli --show-completion bash)"
COMP_WORDS=(layercli train configs/ir) COMP_CWORD=2
$(complete -p layercli | sed 's/.*-F \\([^ ]*\\) .*/\\1/') layercli
echo "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=HANG_SECONDS, check=True
    )
    assert done.stdout == "configs/iris_csv.yaml\n"


def test_types_of_a_layer_are_offered():
    found = complete("train configs/digits_cnn.yaml --set model.layers.digit.type=")
    assert found[0] == "model.layers.digit.type=Dense"
    assert "model.layers.digit.type=EinsumDense" in found
