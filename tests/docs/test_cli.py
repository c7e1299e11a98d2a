"""The generated command reference in docs/cli.md."""

from layercli.cli import COMMANDS
from tests.cli_reference import PAGE, render_reference
from tests.running import invoke


def test_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == render_reference(), "run: python -m tests.cli_reference"


def test_page_contains_every_option_of_help():
    sections = render_reference().split("\n### ")[1:]
    assert [section.split("\n")[0] for section in sections] == [f"layercli {name}" for name in COMMANDS]
    train = next(section for section in sections if section.startswith("layercli train"))
    for option in ("--run-dir", "--resume", "--allow-changes", "--quiet", "-q", "--json", "--set", "--trust"):
        assert f"`{option}`" in train
        assert option in invoke("train", "--help").output


def test_help_groups_commands_in_panels():
    output = invoke("--help").output
    titles = [output.index(f"─ {panel} ─") for panel in ("Start", "Check", "Train", "Use", "Share")]
    assert titles == sorted(titles)


def test_bare_command_shows_first_steps():
    result = invoke()
    assert result.exit_code == 2
    lines = result.output.splitlines()
    assert len(lines) < 10
    assert [line.split()[1] for line in lines if line.startswith("  layercli")] == [
        "init",
        "validate",
        "train",
    ]


def test_unknown_command_is_a_usage_error():
    result = invoke("tarin")
    assert result.exit_code == 2
    assert "tarin" in result.output
