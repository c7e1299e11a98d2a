"""The server with editors that are wrong, fast or dead."""

import gc
import io
import json
import os
import subprocess
import sys
import threading

import pytest

from layercli.language_server.documents import uri_from_path
from layercli.language_server.server import LanguageServer
from layercli.language_server.transport import read_message
from tests.language_server.editor import Editor
from tests.running import HANG_SECONDS

VALID = "model: {input: [4], layers: [{type: Dense, units: 3}]}\n"


def run_server(*messages):
    """Return the exit code of a server that reads these messages or bytes, and the messages that it writes."""
    stream = b""
    for message in messages:
        body = message if isinstance(message, bytes) else json.dumps({"jsonrpc": "2.0", **message}).encode()
        stream += b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    output = io.BytesIO()
    code = LanguageServer(io.BytesIO(stream), output).run()
    output.seek(0)
    answers = []
    while output.tell() < output.getbuffer().nbytes:
        answers.append(read_message(output))
    return code, answers


INITIALIZE = {"id": 1, "method": "initialize", "params": {"capabilities": {}}}


def open_message(uri, text, version=1):
    item = {"uri": uri, "languageId": "yaml", "version": version, "text": text}
    return {"method": "textDocument/didOpen", "params": {"textDocument": item}}


def change_message(uri, text, version):
    params = {"textDocument": {"uri": uri, "version": version}, "contentChanges": [{"text": text}]}
    return {"method": "textDocument/didChange", "params": params}


def test_shutdown_and_exit_end_the_server():
    code, answers = run_server(INITIALIZE, {"id": 2, "method": "shutdown"}, {"method": "exit"})
    assert code == 0
    assert [one["id"] for one in answers] == [1, 2]
    assert answers[1]["result"] is None


@pytest.mark.parametrize("messages", [[INITIALIZE], [INITIALIZE, {"method": "exit"}], []])
def test_server_ends_with_its_editor(messages):
    assert run_server(*messages)[0] == 1


def test_requests_before_initialize_and_after_shutdown_are_refused():
    hover = {"id": 7, "method": "textDocument/hover", "params": {}}
    _, answers = run_server(
        hover, INITIALIZE, {"id": 2, "method": "shutdown"}, hover, {"id": 3, "method": "initialize"}
    )
    codes = [one.get("error", {}).get("code") for one in answers]
    assert codes == [-32002, None, None, -32600, -32600]


def test_malformed_messages_get_errors_and_do_not_end_the_server():
    _, answers = run_server(
        INITIALIZE,
        b"{",
        b"\xff\xfe",
        b"[1]",
        {"id": 2, "method": "textDocument/unknown"},
        {"id": [], "method": 5, "params": [1]},
        {"id": 3},
        {"method": "textDocument/didOpen", "params": {"textDocument": 3}},
        {"method": "textDocument/didChange", "params": {"textDocument": {"uri": 4}, "contentChanges": {}}},
        {"id": 4, "method": "textDocument/hover", "params": {"textDocument": {"uri": {}}, "position": -1}},
        {"id": 5, "method": "shutdown"},
    )
    assert [one.get("error", {}).get("code") for one in answers] == [
        *(None, -32700, -32700, -32700, -32601, -32601, -32600, None, None)
    ]


@pytest.mark.parametrize(
    "header", [b"Content-Length: x\r\n\r\n", b"\r\n", b"Content-Length: 99999999999\r\n\r\n"]
)
def test_invalid_header_ends_the_server(header):
    assert LanguageServer(io.BytesIO(header), io.BytesIO()).run() == 1


def test_stale_requests_are_refused_and_only_the_newest_text_is_checked(tmp_path):
    uri = uri_from_path(tmp_path / "config.yaml")
    hover = {
        "id": 2,
        "method": "textDocument/hover",
        "params": {"textDocument": {"uri": uri}, "position": {}},
    }
    texts = [change_message(uri, VALID.replace("3", str(units)), units) for units in range(2, 30)]
    messages = (INITIALIZE, open_message(uri, VALID), hover, *texts, {"id": 3, "method": "shutdown"})
    stream = b"".join(
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        for body in (json.dumps({"jsonrpc": "2.0", **one}).encode() for one in messages)
    )
    server = LanguageServer(io.BytesIO(stream), output := io.BytesIO())
    server.inbox.read_all()  # all messages have arrived before the first is handled
    server.run()
    output.seek(0)
    answers = []
    while output.tell() < output.getbuffer().nbytes:
        answers.append(read_message(output))
    assert next(one for one in answers if one.get("id") == 2)["error"]["code"] == -32801
    published = [
        one["params"]["version"] for one in answers if one.get("method", "").endswith("publishDiagnostics")
    ]
    assert published == [29]


def test_ignored_change_does_not_keep_the_text_unchecked(tmp_path):
    uri = uri_from_path(tmp_path / "config.yaml")
    malformed = {"method": "textDocument/didChange", "params": {"textDocument": {"uri": uri, "version": 9}}}
    hover = {
        "id": 2,
        "method": "textDocument/hover",
        "params": {"textDocument": {"uri": uri}, "position": {}},
    }
    _, answers = run_server(
        INITIALIZE, open_message(uri, VALID), malformed, change_message(uri, VALID, 0), hover
    )
    assert answers[-1]["id"] == 2
    assert "error" not in answers[-1]


def test_cancelled_request_is_not_answered():
    hover = {"id": 2, "method": "textDocument/hover", "params": {"textDocument": {"uri": "x"}}}
    stream = io.BytesIO()
    messages = [
        INITIALIZE,
        hover,
        {"method": "$/cancelRequest", "params": {"id": 2}},
        {"id": 3, "method": "shutdown"},
    ]
    for one in messages:
        body = json.dumps(one).encode()
        stream.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    stream.seek(0)
    server = LanguageServer(stream, output := io.BytesIO())
    server.inbox.read_all()
    server.run()
    assert b'"code":-32800' in output.getvalue()


def test_older_changes_and_changes_of_unknown_files_are_ignored(tmp_path):
    editor, path = Editor(), tmp_path / "config.yaml"
    uri = uri_from_path(path)
    editor.open(path, VALID)
    editor.send(change_message(uri, "model: {}", 1))
    editor.send(change_message(uri, "model: {}", 0))
    editor.send(change_message(uri + "x", "model: {}", 5))
    assert editor.server.documents.by_uri[uri].text == VALID
    assert editor.problems(path) == []


def test_changes_outside_the_text_are_cut(tmp_path):
    editor, path = Editor(), tmp_path / "config.yaml"
    editor.open(path, "model:\n  😀")

    def place(*places):
        (line, character), (last, end) = places
        return {"start": {"line": line, "character": character}, "end": {"line": last, "character": end}}

    document = editor.server.documents.by_uri[uri_from_path(path)]
    editor.change(path, {"range": place((99, 0), (99, 9)), "text": "!"})
    assert document.text == "model:\n  😀!"
    editor.change(path, {"range": place((0, 99), (1, 4)), "text": "?"})
    assert document.text == "model:?!"
    editor.change(path, {"range": place((0, 3), (0, 1)), "text": ""})
    assert document.text == "mel:?!"
    editor.change(
        path, {"range": place((-5, 3), (0, -1)), "text": "a"}, {"range": "x", "text": "b"}, {"text": 3}
    )
    assert document.text == "b"


FEATURES = (
    *("hover", "completion", "definition", "references", "documentSymbol", "foldingRange", "codeLens"),
    *("documentLink", "semanticTokens/full", "inlayHint", "prepareRename", "codeAction"),
)
HOSTILE = {
    "lone surrogate": "model: {input: [4], layers: ['\ud800']}",
    "long line": "model: {input: [4], layers: ['" + "x" * 1_000_000 + "']}",
    "many values": "model: {input: [" + "1, " * 2_000 + "]}",
    "too large": "model:\n" + "#" * (1 << 20),
    "deep": "model: " + "[" * 30_000,
    "deep valid": "model: " + "[" * 90 + "]" * 90,
    "alias bomb": "model: &a [1,1,1,1,1,1,1,1,1,1]\n"
    + "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}' if n else '*a'] * 10)}]\n" for n in range(8)),
    "null": "model: \0",
    "cycle": "extends: config.yaml\nmodel: {}",
    "merge": "model: &a {<<: *a}",
    "tabs": "model:\n\tinput: [4]\n",
    "directive": "%YAML 9.9\n---\nmodel: {}",
    "many layers": "model: {input: [4], layers: [" + "ReLU, " * 500 + "Relux]}",
    "variables": "vars: {a: '${b}', b: '${a}'}\nmodel: {input: [4], layers: ['${a}']}",
    "keys": "model:\n  ? [a]\n  : b\n",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_get_answers(tmp_path, text):
    editor, path = Editor(), tmp_path / "config.yaml"
    editor.open(path, text)
    assert editor.problems(path)
    for method in FEATURES:
        for line, character in ((0, 9), (0, len(text))):
            position = {"line": line, "character": character}
            params = {"textDocument": {"uri": uri_from_path(path)}, "position": position}
            editor.answer(f"textDocument/{method}", params)
    assert not [one for one in editor.notifications if one["method"] == "window/logMessage"]


def test_two_files_extend_each_other(tmp_path):
    editor = Editor()
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    editor.open(one, "extends: two.yaml\n")
    editor.open(two, "extends: one.yaml\n")
    editor.wait_for_checks()
    assert [problem["code"] for problem in editor.problems(two)] == ["extends-cycle"]


def test_files_of_other_machines_are_not_touched():
    editor = Editor()
    for uri in (
        "file://server/share/config.yaml",
        "https://example.com/config.yaml",
        "file:////server/x.yaml",
        "x:%00",
        "",
    ):
        editor.send(open_message(uri, VALID))
    assert editor.server.documents.by_uri == {}


def test_invalid_utf8_of_an_extended_file_is_reported(tmp_path):
    editor, base = Editor(), tmp_path / "base.yaml"
    base.write_bytes(b"name: caf\xe9\n")
    editor.open(tmp_path / "config.yaml", "extends: base.yaml\nmodel: {input: [4], layers: [ReLU]}\n")
    assert [one["code"] for one in editor.problems(base)] == ["not-utf8"]
    assert editor.problems(base)[0]["range"]["start"]["line"] == 0


def test_open_file_that_disappears_is_still_checked(tmp_path):
    editor, path = Editor(), tmp_path / "folder" / "config.yaml"
    path.parent.mkdir()
    path.write_text(VALID)
    editor.open(path)
    path.unlink()
    path.parent.rmdir()
    assert [one["code"] for one in editor.change(path, VALID.replace("units", "unit"))] == ["unknown-key"]
    assert editor.ask("documentSymbol", path)


def test_messages_out_of_order_leave_the_newest_text(tmp_path):
    editor, path = Editor(), tmp_path / "config.yaml"
    uri = uri_from_path(path)
    editor.send(change_message(uri, "model: {}", 2))  # before the text is open
    editor.close(path)
    assert editor.diagnostics == {}
    editor.open(path, VALID)
    editor.open(path, VALID.replace("units", "unit"))  # opened twice: the later text counts
    editor.wait_for_checks()
    assert [one["code"] for one in editor.problems(path)] == ["unknown-key"]
    editor.send(change_message(uri, VALID, 7))
    editor.send(change_message(uri, "model: {}", 5))
    editor.wait_for_checks()
    assert editor.problems(path) == []
    editor.close(path)
    editor.send(change_message(uri, "model: {}", 8))
    editor.wait_for_checks()
    assert editor.problems(path) == []


def test_two_editors_in_one_folder_do_not_share_unsaved_texts(tmp_path):
    base, child = tmp_path / "base.yaml", tmp_path / "child.yaml"
    base.write_text(VALID)
    one, two = Editor(), Editor()
    for editor in (one, two):
        editor.open(child, "extends: base.yaml\n")
    one.open(base)
    one.change(base, VALID.replace("units", "unit"))
    assert [problem["code"] for problem in one.problems(base)] == ["unknown-key"]
    assert two.problems(child) == two.problems(base) == []
    base.write_text(VALID.replace("units", "unit"))  # saved by the first
    two.notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": uri_from_path(base), "type": 2}]})
    two.wait_for_checks()
    assert [problem["code"] for problem in two.problems(base)] == ["unknown-key"]


def test_server_ends_when_the_process_of_its_editor_has_ended(monkeypatch):
    monkeypatch.setattr("layercli.language_server.server._CLIENT_CHECK_INTERVAL", 0.01)
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    body = json.dumps({**INITIALIZE, "params": {"capabilities": {}, "processId": ended.pid}}).encode()
    read_end, write_end = os.pipe()  # stays open, as if a child of the editor had inherited it
    os.write(write_end, b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    with os.fdopen(read_end, "rb") as reader:
        assert LanguageServer(reader, io.BytesIO()).run() == 1
        os.close(write_end)


def test_server_ends_when_its_editor_reads_no_more():
    class ClosedPipe(io.BytesIO):
        def write(self, _):
            raise BrokenPipeError

    body = json.dumps(INITIALIZE).encode()
    reader = io.BytesIO(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    assert LanguageServer(reader, ClosedPipe()).run() == 1


def test_edits_leave_no_objects_behind(tmp_path):
    editor, path = Editor(), tmp_path / "config.yaml"
    text = "vars: {w: 3}\nmodel:\n  input: [4]\n  layers:\n    - {type: Dense, units: '${w}'}\n    - {type: Dense, units: 1}\n"
    editor.open(path, text)
    counts = []
    for number in range(150):
        editor.change(path, text.replace("units: 1", f"units: {number % 7}"))
        editor.hints(path)
        editor.notifications.clear()
        if number % 50 == 49:
            editor.ask("completion", path, (5, 20))
            editor.clear_output()
            gc.collect()
            counts.append(len(gc.get_objects()))
    assert counts[-1] - counts[0] < 200


def test_untitled_text_is_checked():
    editor = Editor()
    editor.send(open_message("untitled:Untitled-1", "model: {}"))
    assert [one["code"] for one in editor.diagnostics["untitled:Untitled-1"]["diagnostics"]] == [
        "missing-key"
    ]


def test_a_bug_in_the_server_is_logged_and_answered(tmp_path, monkeypatch):
    editor, path = Editor(), tmp_path / "config.yaml"
    monkeypatch.setattr("layercli.language_server.server.analyze_document", lambda *_: 1 / 0)
    editor.open(path, VALID)
    assert editor.notifications[-1]["method"] == "window/logMessage"
    answer = editor.answer("textDocument/hover", {"textDocument": {"uri": uri_from_path(path)}})
    assert answer["error"]["code"] == -32603


def test_check_ends_early_when_a_newer_text_arrives(tmp_path):
    editor, path = Editor(), tmp_path / "config.yaml"
    uri = uri_from_path(path)
    editor.open(path, VALID)
    seen = []
    inbox = editor.server.inbox

    def has_newer(changed):
        seen.append(changed)
        return len(seen) > 3

    inbox.has_newer = has_newer
    editor.send(change_message(uri, VALID.replace("3", "5"), 2))
    editor.wait_for_checks()
    assert len(seen) == 4
    assert editor.diagnostics[uri]["version"] == 1


@pytest.fixture(scope="module")
def process():
    with subprocess.Popen(
        [sys.executable, "-m", "layercli", "lsp"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        yield process
        process.kill()


def test_process_answers_loads_no_framework_and_ends_with_its_input(process, tmp_path):
    watchdog = threading.Timer(HANG_SECONDS, process.kill)
    watchdog.start()
    uri = uri_from_path(tmp_path / "config.yaml")
    for message in (INITIALIZE, open_message(uri, VALID.replace("units", "unit"))):
        body = json.dumps(message).encode()
        process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    process.stdin.flush()
    assert read_message(process.stdout)["result"]["serverInfo"]["name"] == "layercli"
    assert read_message(process.stdout)["params"]["diagnostics"][0]["code"] == "unknown-key"
    process.stdin.close()
    assert process.wait(HANG_SECONDS) == 1
    watchdog.cancel()
    assert process.stderr.read() == b""


def test_malformed_address_does_not_disturb_other_texts(tmp_path):
    editor, path = Editor(), tmp_path / "config.yaml"
    editor.send(open_message("file:///tmp/\ud800.yaml", VALID))
    assert editor.open(path, "model: {}")[0]["code"] == "missing-key"
    assert [one for one in editor.notifications if one["method"] == "window/logMessage"] == []
