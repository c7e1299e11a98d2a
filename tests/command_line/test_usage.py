"""Usage errors say what to write instead of an option or a command of another program."""

import json
import re
import subprocess
import sys

import pytest

from layercli.command_line.optional_values import add_left_out_values
from layercli.command_line.usage import _find_value, is_json_requested
from layercli.export_formats import EXPORT_FORMATS, OTHER_FORMATS, suggest_format
from tests.running import HANG_SECONDS, invoke


def error_of(*args):
    result = invoke(*args)
    assert result.exit_code == 2
    return " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("args", "advice"),
    [
        (("--epochs", "3"), "Write `--set train.epochs=3`."),
        (("--epochs=3",), "Write `--set train.epochs=3`."),
        (("--batch_size", "64"), "Write `--set train.batch_size=64`."),
        (("--lr", "0.1"), "Write `--set train.optimizer.learning_rate=0.1`."),
        (("--epochs", "$(x)"), "Write `--set train.epochs=VALUE`."),
        (("--output-dir", "x"), "Write `--run-dir`."),
        (("--config", "c.yaml"), "The config is an argument without an option."),
    ],
)
def test_option_of_another_program_is_explained(args, advice):
    assert advice in error_of("train", "c.yaml", *args)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("tflite", "Write `--format litert`: LiteRT is the new name of TensorFlow Lite"),
        ("saved-model", "Write `--format saved_model`."),
        ("SavedModel", "Write `--format saved_model`."),
        ("pb", "Write `--format saved_model`, the format of TensorFlow."),
        ("ONNX", "Write `--format onnx`."),
        ("onnx-17", "Write `--format onnx --opset 17`."),
        (".pt", "Write `--format onnx`, which other programs read or convert."),
        ("h5", 'save_weights("model.weights.h5")` saves the weights in HDF5.'),
        ("keras3", "Write `--format keras`."),
    ],
)
def test_format_of_another_program_is_explained(name, advice):
    found = error_of("export", "runs/x", "--format", name)
    assert f"'{name}' is not one of 'keras', 'saved_model', 'onnx', 'litert', 'python'." in found
    assert advice in found


def test_each_other_format_names_an_export_format():
    for name, hint in OTHER_FORMATS.items():
        assert re.match(r"Write `--format (\w+)`", hint)[1] in EXPORT_FORMATS
        assert suggest_format(f".{name.upper()}") == hint
    assert suggest_format("pdf") is None


def test_misspelt_choice_suggests_the_closest_one():
    assert "Write `--part validation`." in error_of("evaluate", "runs/x", "--part", "validatoin")
    assert "Write" not in error_of("evaluate", "runs/x", "--part", "everything")


def test_misspelt_option_suggests_the_closest_one():
    assert "--run-dir" in error_of("train", "c.yaml", "--run-dirr", "x")


@pytest.mark.parametrize(
    ("args", "advice"),
    [
        (("train", "c.yaml", "-o", "r"), "Write `--run-dir`."),
        (("export", "r", "--out", "m.onnx"), "Write `--output`."),
        (("train", "c.yaml", "--data", "t.csv"), "Write `--set data.path=t.csv`."),
        (("evaluate", "r", "--input", "t.csv"), "Write `--data`."),
        (("predict", "r", "--data", "t.csv"), "Write `--input`."),
        (("train", "c.yaml", "--dry-run"), "Write `--smoke`."),
        (("sweep", "c.yaml", "--workers", "2"), "Write `--jobs`."),
        (("launch", "c.yaml", "--jobs", "2"), "Write `--workers`."),
        (("sweep", "s.yaml", "--n-trials", "3"), "Write `trials: 3` in the sweep file."),
        (("train", "--version"), "Write `layercli --version`."),
        (("train", "c.yaml", "--gpu", "0"), "`CUDA_VISIBLE_DEVICES=-1 layercli ...` hides it."),
    ],
)
def test_other_option_is_named_where_the_command_has_it(args, advice):
    assert advice in error_of(*args)


def test_training_has_no_jobs_without_seeds():
    assert "--jobs" not in error_of("train", "c.yaml", "--workers", "2")


def test_option_is_not_explained_where_it_cannot_be_set():
    assert "--set" not in error_of("evaluate", "run", "--epochs", "3")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("fit", "Write `layercli train`."),
        ("check", "Write `layercli validate`."),
        ("c.yaml", "Write `layercli train c.yaml`, or another command before the config."),
        ("resume", "Write `layercli train --resume RUN`."),
        ("trian", "'train'"),
    ],
)
def test_command_of_another_program_is_explained(name, advice):
    assert advice in error_of(name)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ("predict",),
            "Missing argument 'RUN'. The directory of a finished run; `layercli runs` lists runs.",
        ),
        (
            ("predict", "run"),
            "Missing option '--output' / '-o'. The file for the predictions: .csv, .parquet",
        ),
        (("predict", "run", "new.csv", "-o", "p.csv"), "(new.csv). Write `--input FILE` for new data."),
        (("evaluate", "run", "new.csv"), "(new.csv). Write `--data FILE` for new data."),
        (("train", "c.yaml", "a=3"), "(a=3). Write `--set KEY=VALUE` to change a value of the config."),
    ],
)
def test_missing_and_extra_arguments_are_explained(args, message):
    assert message in error_of(*args)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("serve", "run", "--port", "80000"), "'--port': must be at most 65535, got 80000."),
        (("serve", "run", "--port=http"), "'--port': must be an integer, got http."),
        (("crossval", "c.yaml", "--folds", "1"), "'--folds': must be at least 2, got 1."),
        (("crossval", "c.yaml", "--folds", "a b"), "'--folds': must be an integer."),
    ],
)
def test_invalid_value_says_what_is_expected_and_received(args, message):
    assert message in error_of(*args)


def test_extra_argument_without_an_option_for_it():
    assert error_of("train", "c.yaml", "d.yaml").endswith("argument(s) (d.yaml) ╰" + "─" * 78 + "╯")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("train", "--json"), "Invalid value: CONFIG or --resume RUN is required."),
        (
            ("validate", "--json"),
            "Missing argument 'CONFIG'. Config files or folders of configs; - reads standard input.",
        ),
        (
            ("train", "c.yaml", "--epochs", "3", "--json"),
            "No such option: --epochs. Write `--set train.epochs=3`.",
        ),
        (
            ("train", "c.yaml", "--json", "--run-dirr", "x"),
            "No such option: --run-dirr (Possible options: ",
        ),
        (("train", "c.yaml", "--set", "x", "--json"), "Invalid value for '--set': expected KEY=VALUE"),
        (("runs", "--limit", "many", "--json"), "Invalid value for '--limit': "),
        (
            ("export", "run", "--format", "pdf", "--json"),
            "Invalid value for '--format' / '-f': 'pdf' is not one of 'keras', ",
        ),
        (("train", "c.yaml", "--json", "--set"), "Option '--set' requires an argument."),
        (("train", "--json=yes"), "Option '--json' does not take a value."),
        (("trian", "--json"), "No such command 'trian'. Did you mean 'train'?"),
        (("--json",), "Write --json after the command."),
        (("--json", "validate", "c.yaml"), "Write --json after the command."),
        (("launch", "--workers", "2", "--", "build", "--json"), "Invalid value: the command must be train"),
    ],
)
def test_usage_error_is_a_json_document(args, message):
    result = invoke(*args)
    assert result.exit_code == 2
    assert result.stderr == ""
    document = json.loads(result.stdout)
    [problem] = document["problems"]
    assert document["ok"] is False
    assert problem["code"] == "usage-error"
    assert problem["message"].startswith(message)
    command = "layercli" if args[0] in ("--json", "trian") else f"layercli {args[0]}"
    assert problem["hint"].startswith(f"Run `{command} --help`")


def test_help_is_text_also_with_json():
    result = invoke("train", "--json", "--help")
    assert result.exit_code == 0
    assert "Usage: layercli train" in result.stdout


@pytest.mark.parametrize(
    ("failure", "exit_code", "code"),
    [("KeyboardInterrupt", 130, "interrupted"), ("RuntimeError", 3, "internal-error")],
)
def test_failure_before_the_command_is_a_json_document(failure, exit_code, code):
    program = f"""
import sys
from layercli import cli

def fail(arguments):
    raise {failure}

cli.make_app_for = fail
sys.argv = ["layercli", "train", "c.yaml", "--json"]
cli.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )
    assert done.returncode == exit_code
    assert [problem["code"] for problem in json.loads(done.stdout)["problems"]] == [code]


@pytest.mark.parametrize(
    ("arguments", "is_requested"),
    [(["train", "--json"], True), (["--json=1"], True), (["--jsonx"], False), (["json"], False), ([], False)],
)
def test_json_is_requested_by_an_option(arguments, is_requested):
    assert is_json_requested(arguments) is is_requested


@pytest.mark.parametrize(
    ("given", "completed"),
    [
        (["x", "--example"], ["x", "--example", "list"]),
        (["--example", "--json"], ["--example", "list", "--json"]),
        (["--example", "iris"], ["--example", "iris"]),
        (["a", "b"], ["a", "b"]),
    ],
)
def test_value_of_an_option_that_is_left_out(given, completed):
    assert add_left_out_values(given) == completed


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["--lr", "0.1"], "0.1"),
        (["--lr=0.1"], "0.1"),
        (["--lr"], "VALUE"),
        (["--lr", "--json"], "VALUE"),
        (["--lr", "-1"], "-1"),
        (["--lr", "a b"], "VALUE"),
        (["--lr", "a" * 60], "a" * 60),
        (["--lr", "a" * 61], "VALUE"),
        (["--lrx=3", "x"], "VALUE"),
    ],
)
def test_value_of_an_unknown_option(arguments, value):
    assert _find_value("--lr", arguments) == value
