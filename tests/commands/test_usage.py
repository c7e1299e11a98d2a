"""Usage errors say what to write instead of an option or a command of another program."""

import pytest

from tests.running import invoke


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


def test_misspelt_option_suggests_the_closest_one():
    assert "--run-dir" in error_of("train", "c.yaml", "--run-dirr", "x")


def test_option_is_not_explained_where_it_cannot_be_set():
    assert "--set" not in error_of("evaluate", "run", "--epochs", "3")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("fit", "Write `layercli train`."),
        ("check", "Write `layercli validate`."),
        ("c.yaml", "Write `layercli train c.yaml`, or another command before the config."),
        ("trian", "'train'"),
    ],
)
def test_command_of_another_program_is_explained(name, advice):
    assert advice in error_of(name)
