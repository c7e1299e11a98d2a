"""An editor of the tests: a language server in this process, and messages as an editor sends them."""

import io

from layercli.language_server.documents import uri_from_path
from layercli.language_server.server import LanguageServer
from layercli.language_server.transport import read_message


class Editor:
    """An editor with one server. Each file has the versions 1, 2, and so on."""

    def __init__(self, options=None, capabilities=None):
        self._output = io.BytesIO()
        self.server = LanguageServer(io.BytesIO(), self._output)
        self._read_until = 0
        self.notifications = []
        self.diagnostics = {}
        self.versions = {}
        self._count = 0
        params = {"capabilities": capabilities or {}, "initializationOptions": options, "processId": None}
        self.capabilities = self.request("initialize", params)["capabilities"]
        self.notify("initialized", {})

    def _collect(self):
        self._output.seek(self._read_until)
        messages = []
        while self._output.tell() < self._output.getbuffer().nbytes:
            messages.append(read_message(self._output))
        self._read_until = self._output.tell()
        for message in messages:
            if message.get("method") == "textDocument/publishDiagnostics":
                self.diagnostics[message["params"]["uri"]] = message["params"]
            if "method" in message:
                self.notifications.append(message)
        return messages

    def clear_output(self):
        """Forget the messages that were read."""
        self._output.seek(0)
        self._output.truncate()
        self._read_until = 0

    def send(self, message):
        """Send any message; return the messages of the server."""
        self.server.handle(message)
        self.server.check_due_documents()
        return self._collect()

    def notify(self, method, params):
        return self.send({"method": method, "params": params})

    def answer(self, method, params):
        """Send a request; return the whole answer."""
        self._count += 1
        found = [
            one for one in self.send({"id": self._count, "method": method, "params": params}) if "id" in one
        ]
        return next(one for one in found if one["id"] == self._count)

    def request(self, method, params):
        answer = self.answer(method, params)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, path, text=None, language="yaml"):
        """Open a file, or a text in its place; return its diagnostics."""
        text = path.read_text() if text is None else text
        uri = uri_from_path(path)
        self.versions[uri] = 1
        item = {"uri": uri, "languageId": language, "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})
        return self.problems(path)

    def change(self, path, *changes):
        """Apply changes to a file, or set its text; return its diagnostics."""
        uri = uri_from_path(path)
        self.versions[uri] += 1
        item = {"uri": uri, "version": self.versions[uri]}
        listed = [{"text": one} if isinstance(one, str) else one for one in changes]
        self.notify("textDocument/didChange", {"textDocument": item, "contentChanges": listed})
        self.wait_for_checks()
        return self.problems(path)

    def wait_for_checks(self):
        """Check at once what the server would check after a short time."""
        self.server.make_all_due()
        self.server.check_due_documents()
        self._collect()

    def close(self, path):
        self.notify("textDocument/didClose", {"textDocument": {"uri": uri_from_path(path)}})

    def problems(self, path):
        published = self.diagnostics.get(uri_from_path(path))
        return published["diagnostics"] if published else []

    def ask(self, method, path, position=None, **params):
        """Send a request about a file and, if given, a line and a character."""
        places = {"position": {"line": position[0], "character": position[1]}} if position else {}
        return self.request(
            f"textDocument/{method}", {"textDocument": {"uri": uri_from_path(path)}, **places, **params}
        )

    def hints(self, path):
        """Return the text of each line that has a hint, without its spaces, and the hint."""
        document = self.server.documents.by_uri[uri_from_path(path)]
        lines = document.text.splitlines()
        shown = {"start": {"line": 0, "character": 0}, "end": {"line": 10**6, "character": 0}}
        return [
            (lines[hint["position"]["line"]].strip(), hint["label"])
            for hint in self.ask("inlayHint", path, range=shown)
        ]


def place_of(text, word, *, offset=1, number=0):
    """Return the line and the character of a word, in UTF-16 units; ``number`` counts its occurrences."""
    index = -1
    for _ in range(number + 1):
        index = text.index(word, index + 1)
    before = text[: index + offset]
    line = before.rpartition("\n")[2]
    return before.count("\n"), len(line.encode("utf-16-le")) // 2


def apply_edits(text, edits):
    """Return a text after edits of the protocol."""
    lines = text.split("\n")

    def offset(place):
        line = lines[place["line"]]
        column = len(line.encode("utf-16-le")[: 2 * place["character"]].decode("utf-16-le"))
        return sum(len(one) + 1 for one in lines[: place["line"]]) + column

    for edit in sorted(edits, key=lambda one: offset(one["range"]["start"]), reverse=True):
        start, end = offset(edit["range"]["start"]), offset(edit["range"]["end"])
        text = text[:start] + edit["newText"] + text[end:]
    return text
