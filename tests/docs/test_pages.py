"""Rules for all pages: commands, options, links, configs and Python code."""

import ast
import re

import pytest
import yaml

from layercli.check import check_config
from layercli.cli import COMMANDS
from layercli.errors import ExitCode
from tests.docs.pages import PAGES, ROOT, blocks, complete_configs

OPTIONS = {
    section.split("\n")[0].removeprefix("layercli "): set(re.findall(r"`(--?[\w-]+)`", section))
    for section in PAGES["cli"].split("\n### ")[1:]
}
"""The options of each command."""
OWN_TESTS = {"data", "language", "problems", "sweep", "tables", "training"}
"""Pages whose configs are checked in separate modules."""


def slug(title):
    """Return the anchor of a title, as GitHub and the site generator write it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


@pytest.mark.parametrize(
    "page", sorted(PAGES.keys() - {"CONTRIBUTING"})
)  # which adds a command as an example
def test_commands_and_options_exist(page):
    for text in re.findall(r"`{1,3}(?:sh\n|console\n\$ )?((?:[^`\n]*&& )?layercli [^`\n]*)", PAGES[page]):
        name, *arguments = re.split(r"\s+", text.split("layercli ", 1)[1].split(" | ")[0])
        if name == "launch" and "--" in arguments:
            arguments = arguments[: arguments.index("--")]
        assert name in COMMANDS or name.startswith(("-", ".")) or "..." in name, text
        for option in arguments:
            if option.startswith("-") and option != "-" and name in COMMANDS:
                assert option.split("=")[0] in OPTIONS[name] | {"--help", "-h"}, text


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_titles(page):
    folder = ROOT if page.isupper() else ROOT / "docs"
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        assert not path or (folder / path).exists(), target
        if anchor:
            text = PAGES[path.removesuffix(".md") or page]
            titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
            assert anchor in {slug(title.replace("\n", " ")) for title in titles}, target


def test_files_of_changes_exist():
    section = PAGES["CONTRIBUTING"].split("\n## Where other changes go\n")[1].split("\n## ")[0]
    paths = re.findall(r"`(\w+/[\w/]*(?:\.py)?|\w+\.py)`", section)
    assert len(paths) >= 20
    names = {path.name for path in (ROOT / "layercli").rglob("*.py")}
    for path in paths:
        assert (ROOT / "layercli" / path).exists() or (ROOT / path).exists() or path in names, path


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    for path in (ROOT / "docs").glob("*.md"):
        assert f'"{path.name}"' in navigation
        assert path.name == "index.md" or f"]({path.name})" in PAGES["index"]
        assert path.name == "index.md" or f"](docs/{path.name})" in PAGES["README"]


@pytest.mark.parametrize("page", sorted(PAGES.keys() - OWN_TESTS))
def test_complete_configs_are_valid(page, tmp_path):
    (tmp_path / "simple_dense.py").write_text((ROOT / "configs" / "simple_dense.py").read_text())
    for name, text in complete_configs(page).items():
        (tmp_path / name).write_text(text)
        assert check_config(str(tmp_path / name)).problems == []


def test_parts_of_configs_are_those_of_the_examples():
    def read(name):
        return yaml.safe_load((ROOT / name).read_text())

    assert yaml.safe_load(blocks("yaml", "README")[0]) == read("configs/digits_lstm.yaml")
    assert yaml.safe_load(blocks("yaml", "tutorial")[1]) == read("docs/broken.yaml")
    residual = yaml.safe_load(blocks("yaml", "tutorial")[2])["residual"]
    assert residual == read("configs/digits_residual.yaml")["blocks"]["residual"]


def test_pre_commit_hook_is_that_of_the_repository():
    own = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())[0]
    shown = yaml.safe_load(blocks("yaml", "checks")[0])["repos"][0]["hooks"][0]
    assert {key: shown[key] for key in shown if key != "language"} == {
        key: own[key] for key in shown if key != "language"
    }
    assert re.search(shown["files"], "configs/a.yaml")


def test_custom_layer_of_the_tutorial_is_the_example():
    def members(code):
        [layer] = [node for node in ast.parse(code).body if isinstance(node, ast.ClassDef)]
        return {node.name: ast.unparse(node) for node in layer.body if isinstance(node, ast.FunctionDef)}

    shown = members(blocks("python", "tutorial")[0])
    assert shown.keys() == {"__init__", "build", "call"}
    assert shown.items() <= members((ROOT / "configs" / "simple_dense.py").read_text()).items()


@pytest.mark.tensorflow
def test_python_examples_run(tmp_path, monkeypatch, capsys):
    for name in ("configs", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    for code in blocks("python", "python-api"):
        exec(compile(code, "python-api.md", "exec"), {})
    counts, accuracy, *problems = capsys.readouterr().out.splitlines()
    assert [int(number) for number in counts.split()] == [4810, 9472]
    assert 0 < float(accuracy) <= 1
    assert problems[0] == "4 unknown-key"
    assert len(problems) == 6


def test_exit_codes_are_listed():
    listed = re.findall(r"^\| (\d+) \|", PAGES["json"], re.MULTILINE)
    assert [int(code) for code in listed] == sorted(ExitCode)
