"""The published JSON Schemas of what commands print with ``--json``."""

import json
import re

import pytest
from jsonschema import Draft202012Validator

from layercli.cli import COMMANDS
from layercli.reports.document_schemas import list_documented_commands, read_document_schema
from tests.docs.pages import PAGES
from tests.docs.test_pages import OPTIONS
from tests.json_documents import check_document
from tests.running import invoke


def test_every_command_with_json_output_has_a_schema():
    assert list_documented_commands() == sorted(name for name in COMMANDS if "--json" in OPTIONS[name])


@pytest.mark.parametrize("command", list_documented_commands())
def test_schema_is_valid_and_describes_the_error_document(command):
    schema = read_document_schema(command)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    problem = {"code": "usage-error", "severity": "error", "message": "m", "hint": None, "path": ""}
    place = {"file": None, "line": None, "column": None}
    assert validator.is_valid({"ok": False, "problems": [problem | place]})
    assert not validator.is_valid({"ok": False, "problems": [problem]})
    assert not validator.is_valid({"ok": False})


def test_success_needs_the_results():
    validator = Draft202012Validator(read_document_schema("predict"))
    document = {"ok": True, "run": "runs/a/1", "examples": 3, "output": "p.csv", "problems": []}
    assert validator.is_valid(document)
    assert validator.is_valid(document | {"later": 1}), "a later version can add keys"
    del document["run"]
    assert not validator.is_valid(document)


def test_undescribed_key_names_the_file_to_edit():
    document = {"ok": True, "run": "a", "examples": 1, "metrics": {}, "problems": [], "macro": {"f2": 1}}
    text = json.dumps(document | {"macro": {"precision": 1, "recall": 1, "f1": 1, "f2": 1}})
    with pytest.raises(
        AssertionError, match=r"\$\.macro: .*'f2' was unexpected.*\n.*json_documents/evaluate\.json"
    ):
        check_document(["evaluate", "run", "--json"], 0, text)


def test_two_documents_are_reported():
    with pytest.raises(json.JSONDecodeError, match="Extra data"):
        check_document(
            ["validate", "--json"], 0, '{"ok": true, "problems": []}\n{"ok": true, "problems": []}'
        )


def test_schema_command_prints_the_schema_of_a_document(tmp_path):
    assert json.loads(invoke("schema", "--command", "runs").stdout) == read_document_schema("runs")
    assert read_document_schema("launch")["properties"] == read_document_schema("train")["properties"]
    file = tmp_path / "s.json"
    result = invoke("schema", "--command", "launch", "--output", file, "--json")
    assert json.loads(result.stdout) == {"ok": True, "output": str(file), "problems": []}
    assert json.loads(file.read_text())["title"] == "layercli launch --json"
    assert invoke("schema", "--command", "lsp").exit_code == 2


def test_page_lists_every_command_with_its_keys():
    table = PAGES["json"].split("\n## Documents\n")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `([\w-]+)` \|(.*)$", table, re.MULTILINE))
    for command in list_documented_commands():
        row = rows[command] + "".join(
            rows[name] for name in re.findall(r"those of `([\w-]+)`", rows[command])
        )
        for key in read_document_schema(command)["properties"].keys() - {"ok", "problems", "problem_count"}:
            assert f"`{key}`" in row, f"Add `{key}` of layercli {command} to docs/json.md."
