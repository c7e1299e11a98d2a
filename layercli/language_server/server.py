"""The language server: it reads messages, keeps the open texts checked, and answers requests.

One thread reads messages and one does all the work, so that no answer mixes two versions of a text. The reader notes at once
which requests are cancelled and which texts have changed, so that work that nobody needs any more ends early.
"""

from __future__ import annotations

import gc
import os
import queue
import shlex
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from layercli import runtime
from layercli.check import is_sweep
from layercli.language_server.analysis import Analysis, analyze_document
from layercli.language_server.diagnostics import make_diagnostics
from layercli.language_server.documents import Document, OpenDocuments, Settings, path_from_uri, uri_from_path
from layercli.language_server.features import CAPABILITIES, FEATURES
from layercli.language_server.hints import ShapeHints
from layercli.language_server.links import find_target
from layercli.language_server.navigation import Navigator, read_text
from layercli.language_server.outline import TRAIN_COMMAND
from layercli.language_server.transport import (
    CONTENT_MODIFIED,
    INTERNAL_ERROR,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    NOT_INITIALIZED,
    PARSE_ERROR,
    REQUEST_CANCELLED,
    REQUEST_FAILED,
    BrokenStreamError,
    Json,
    ResponseError,
    read_message,
    write_message,
)
from layercli.source.nodes import sanitize_text
from layercli.version import __version__

_MAX_DELAY: Final = 0.3
"""Longest wait for the next keystroke before a check, in seconds."""
_CLIENT_CHECK_INTERVAL: Final = 5.0
"""Seconds between checks whether the editor's process still runs."""


class LanguageServer:
    """The server of one editor."""

    def __init__(self, reader: BinaryIO, writer: BinaryIO) -> None:
        self.documents: OpenDocuments = OpenDocuments()
        self.inbox = _Inbox(reader)
        self._writer = writer
        self._analyses: dict[str, Analysis] = {}
        self._hints: dict[str, ShapeHints] = {}
        self._due: dict[str, float] = {}
        """When to check each changed text."""
        self._durations: dict[str, float] = {}
        """How long the last check of each text took, in seconds."""
        self._published: dict[str, dict[str, list[Json]]] = {}
        """The diagnostics of each open text, by the URI of the file that has them."""
        self._client_process: int | None = None
        self._capabilities: Json = {}
        self._is_initialized = False
        self._is_shut_down = False
        self._request_count = 0

    def run(self) -> int:
        """Serve until the editor ends the server or dies; return the exit code."""
        self.inbox.start()
        while True:
            message = self.inbox.take(self._next_wait())
            if message is _END:
                return 0 if self._is_shut_down else 1
            try:
                if message is _INVALID:
                    self._send(_INVALID)
                elif isinstance(message, dict):
                    if message.get("method") == "exit":
                        return 0 if self._is_shut_down else 1
                    self.handle(message)
                elif not self._is_client_alive():
                    return 1
                self.check_due_documents()
            except BrokenPipeError:
                return 1

    def _next_wait(self) -> float:
        if not self._due:
            return _CLIENT_CHECK_INTERVAL
        return min(max(min(self._due.values()) - time.monotonic(), 0), _CLIENT_CHECK_INTERVAL)

    def _is_client_alive(self) -> bool:
        if self._client_process is None or os.name == "nt":
            return True
        try:
            os.kill(self._client_process, 0)
        except ProcessLookupError:
            return False
        except (PermissionError, OverflowError):
            pass
        return True

    def _send(self, message: Json) -> None:
        write_message(self._writer, message)

    def _notify(self, method: str, params: Json) -> None:
        self._send({"method": method, "params": params})

    def _ask(self, method: str, params: Json | None = None) -> None:
        """Send a request whose answer does not matter."""
        self._request_count += 1
        request: Json = {"id": f"layercli-{self._request_count}", "method": method}
        self._send(request if params is None else {**request, "params": params})

    def handle(self, message: Json) -> None:
        """Answer a request or act on a notification."""
        method, identity = message.get("method"), message.get("id")
        if method is None:
            if "id" not in message or "result" in message or "error" in message:
                return  # an answer to the server
            self._send(
                {"id": identity, "error": {"code": INVALID_REQUEST, "message": "The message has no method."}}
            )
            return
        params = message.get("params")
        params = params if isinstance(params, dict) else {}
        if "id" not in message:
            self._handle_notification(str(method), params)
            return
        try:
            if self.inbox.is_cancelled(identity):
                raise ResponseError(REQUEST_CANCELLED, "The request was cancelled.")
            answer: Json = {"result": self._answer(str(method), params, identity)}
        except ResponseError as error:
            answer = {"error": {"code": error.code, "message": str(error)}}
        except runtime.CheckCancelledError:
            is_cancelled = self.inbox.is_cancelled(identity)
            code = REQUEST_CANCELLED if is_cancelled else CONTENT_MODIFIED
            answer = {"error": {"code": code, "message": "The answer is not needed any more."}}
        except BrokenPipeError:
            raise
        except Exception as error:
            self._report_bug(error)
            answer = {
                "error": {"code": INTERNAL_ERROR, "message": f"Internal error: {type(error).__name__}."}
            }
        self.inbox.forget_request(identity)
        self._send({"id": identity, **answer})

    def _handle_notification(self, method: str, params: Json) -> None:
        handlers: dict[str, Callable[[Json], None]] = {
            "initialized": self._watch_files,
            "textDocument/didOpen": self._open,
            "textDocument/didChange": self._change,
            "textDocument/didClose": self._close,
            "workspace/didChangeConfiguration": self._configure,
            "workspace/didChangeWatchedFiles": self._check_changed_files,
        }
        if method in _CHANGE_METHODS:
            self.inbox.count_handled(_find_uri(params))
        handler = handlers.get(method)
        if handler is None or not self._is_initialized or self._is_shut_down:
            return
        try:
            handler(params)
        except BrokenPipeError:
            raise
        except Exception as error:
            self._report_bug(error)

    def _report_bug(self, error: Exception) -> None:
        """Write the traceback to the log of the editor."""
        text = "".join(traceback.format_exception(error))
        self._notify(
            "window/logMessage", {"type": 1, "message": f"Internal error in layercli {__version__}:\n{text}"}
        )

    def _answer(self, method: str, params: Json, identity: Any) -> Any:
        if method == "initialize":
            return self._initialize(params)
        if not self._is_initialized:
            raise ResponseError(NOT_INITIALIZED, "The first request must be `initialize`.")
        if self._is_shut_down:
            raise ResponseError(INVALID_REQUEST, "The server was shut down.")
        if method == "shutdown":
            self._is_shut_down = True
            return None
        if method == "workspace/executeCommand":
            self._execute(params)
            return None
        feature = FEATURES.get(method)
        if feature is None:
            raise ResponseError(METHOD_NOT_FOUND, f"The method {method[:100]} is not available.")
        analysis = self._find_analysis(params)
        if analysis is None:
            return None
        uri = analysis.document.uri
        with runtime.cancel_if(lambda: self.inbox.has_newer(uri) or self.inbox.is_cancelled(identity)):
            return feature(self, analysis, params)

    def _find_analysis(self, params: Json) -> Analysis | None:
        """Return the analysis of the current text that a request names.

        Raises:
            ResponseError: a newer text is on its way, so that the answer would be outdated.
        """
        document = self.documents.by_uri.get(_find_uri(params))
        if document is None or not self.documents.is_config(document):
            return None
        if self.inbox.has_newer(document.uri):
            raise ResponseError(CONTENT_MODIFIED, "The text has changed.")
        return self.analyze_document(document)

    def _initialize(self, params: Json) -> Json:
        if self._is_initialized:
            raise ResponseError(INVALID_REQUEST, "The server is initialized already.")
        self._is_initialized = True
        self.documents.settings = Settings.from_json(params.get("initializationOptions"))
        process = params.get("processId")
        self._client_process = process if isinstance(process, int) and process > 0 else None
        capabilities = params.get("capabilities")
        self._capabilities = capabilities if isinstance(capabilities, dict) else {}
        folders = params.get("workspaceFolders")
        uris = (
            [one.get("uri") for one in folders if isinstance(one, dict)] if isinstance(folders, list) else []
        )
        paths = [path_from_uri(uri) for uri in [*uris, params.get("rootUri")] if isinstance(uri, str)]
        self.documents.folders = [path for path in paths if path is not None]
        return {"capabilities": CAPABILITIES, "serverInfo": {"name": "layercli", "version": __version__}}

    def client_has(self, *keys: str) -> bool:
        """Return whether the editor has a capability, by its keys."""
        value: Any = self._capabilities
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return bool(value)

    def _watch_files(self, _: Json) -> None:
        """Ask the editor to report when YAML files change: others may extend them."""
        if self.client_has("workspace", "didChangeWatchedFiles", "dynamicRegistration"):
            watchers = [{"globPattern": "**/*.{yaml,yml}"}]
            options = {"watchers": watchers}
            registration = {
                "id": "files",
                "method": "workspace/didChangeWatchedFiles",
                "registerOptions": options,
            }
            self._ask("client/registerCapability", {"registrations": [registration]})

    def _open(self, params: Json) -> None:
        item = params.get("textDocument")
        item = item if isinstance(item, dict) else {}
        uri, text, version = item.get("uri"), item.get("text"), item.get("version")
        if not isinstance(uri, str) or not isinstance(text, str):
            return
        version = version if isinstance(version, int) else None
        document = self.documents.open(uri, str(item.get("languageId")), version, text)
        if document is not None:
            self._schedule_changed(document)

    def _change(self, params: Json) -> None:
        item, changes = params.get("textDocument"), params.get("contentChanges")
        if (
            not isinstance(item, dict)
            or not isinstance(item.get("uri"), str)
            or not isinstance(changes, list)
        ):
            return
        version = item.get("version")
        document = self.documents.change(item["uri"], version if isinstance(version, int) else None, changes)
        if document is not None:
            self._schedule_changed(document)

    def _close(self, params: Json) -> None:
        item = params.get("textDocument")
        document = self.documents.close(str(item.get("uri"))) if isinstance(item, dict) else None
        if document is None:
            return
        for known in (self._analyses, self._hints, self._due, self._durations):
            known.pop(document.uri, None)
        self._publish(document.uri, {document.uri: []}, None)
        self._published.pop(document.uri, None)
        self._schedule_dependents(document.path.resolve())

    def _configure(self, params: Json) -> None:
        self.documents.settings = Settings.from_json(params.get("settings"))
        self._analyses.clear()
        for document in self.documents:
            self._due[document.uri] = 0
        self._refresh_hints()

    def _check_changed_files(self, params: Json) -> None:
        changes = params.get("changes")
        for change in changes if isinstance(changes, list) else []:
            uri = change.get("uri") if isinstance(change, dict) else None
            path = path_from_uri(uri) if isinstance(uri, str) else None
            if path is not None and self._schedule_dependents(path.resolve()):
                self._refresh_hints()

    def _refresh_hints(self) -> None:
        if self.client_has("workspace", "inlayHint", "refreshSupport"):
            self._ask("workspace/inlayHint/refresh")

    def _schedule_changed(self, document: Document) -> None:
        self._analyses.pop(document.uri, None)
        delay = min(self._durations.get(document.uri, 0), _MAX_DELAY)
        self._due[document.uri] = time.monotonic() + delay
        self._schedule_dependents(document.path.resolve())

    def _schedule_dependents(self, path: Path) -> bool:
        """Let the texts that have read a file be checked again; return whether there are any."""
        found = False
        for document in self.documents:
            analysis = self._analyses.get(document.uri)
            if analysis is not None and path in analysis.read_paths and document.path.resolve() != path:
                del self._analyses[document.uri]
                self._due[document.uri] = time.monotonic() + min(
                    self._durations.get(document.uri, 0), _MAX_DELAY
                )
                found = True
        return found

    def make_all_due(self) -> None:
        """Let all texts that wait for a check be checked at once."""
        self._due = dict.fromkeys(self._due, 0.0)

    def check_due_documents(self) -> None:
        """Check the texts whose time has come, unless newer ones are on their way."""
        now = time.monotonic()
        for uri in [uri for uri, due in self._due.items() if due <= now]:
            document = self.documents.by_uri.get(uri)
            if document is None or not self.documents.is_config(document):
                del self._due[uri]
                if document is not None and uri in self._published:
                    self._publish(uri, {uri: []}, document.version)
            elif not self.inbox.has_newer(uri):
                self._check(document)

    def _check(self, document: Document) -> None:
        try:
            self.analyze_document(document)
        except runtime.CheckCancelledError:
            pass  # the newer text is due
        except BrokenPipeError:
            raise
        except Exception as error:
            self._due.pop(document.uri, None)
            self._report_bug(error)

    def analyze_document(self, document: Document) -> Analysis:
        """Return the analysis of a text; check it and publish its diagnostics if that has not been done.

        Raises:
            CheckCancelledError: a newer text has arrived in the meantime.
        """
        known = self._analyses.get(document.uri)
        if known is not None:
            return known
        began = time.monotonic()
        with runtime.cancel_if(lambda: self.inbox.has_newer(document.uri)):
            analysis = analyze_document(document, self.documents)
        self._durations[document.uri] = time.monotonic() - began
        self._analyses[document.uri] = analysis
        self._due.pop(document.uri, None)
        self._hints.setdefault(document.uri, ShapeHints()).update(analysis)
        self._publish(document.uri, make_diagnostics(analysis), analysis.version)
        return analysis

    def hints_of(self, analysis: Analysis) -> ShapeHints:
        """Return the shapes to show in a text, including those of its last valid version."""
        return self._hints[analysis.document.uri]

    def navigate(self, analysis: Analysis) -> Navigator:
        """Return the names of a text, the files that it extends and the open texts that extend it."""
        base = self._analyze_base(analysis)
        path = (base or analysis).document.path.resolve()
        others = [one for one in self._analyses.values() if one is not analysis and path in one.read_paths]
        return Navigator(analysis, self.documents, others, base)

    def _analyze_base(self, analysis: Analysis) -> Analysis | None:
        """Return the analysis of the config that a sweep file varies; None for other texts."""
        is_sweep_file = analysis.tree is not None and is_sweep(analysis.tree)
        path = find_target(analysis, ("base",)) if is_sweep_file else None
        if path is None or path.resolve() not in analysis.read_paths:
            return None
        for document in self.documents:
            if document.path.resolve() == path.resolve() and document.uri != analysis.document.uri:
                return self.analyze_document(document)
        text = read_text(path)
        if text is None:
            return None
        return analyze_document(Document(uri_from_path(path), path, None, text), self.documents)

    def _execute(self, params: Json) -> None:
        """Show the command line that trains a config; the server itself runs nothing."""
        arguments = params.get("arguments")
        uri = arguments[0] if isinstance(arguments, list) and arguments else None
        path = path_from_uri(uri) if isinstance(uri, str) else None
        if params.get("command") != TRAIN_COMMAND or path is None:
            raise ResponseError(
                REQUEST_FAILED, "The command must be `layercli.train` with the URI of a config."
            )
        message = f"Train in a terminal: layercli train {shlex.quote(sanitize_text(str(path)))}"
        self._notify("window/showMessage", {"type": 3, "message": message})

    def _publish(self, uri: str, diagnostics: dict[str, list[Json]], version: int | None) -> None:
        """Publish the diagnostics of a text, for each file together with those of other texts."""
        before = self._published.get(uri, {})
        self._published[uri] = diagnostics
        for file in dict.fromkeys([*diagnostics, *before]):
            if file != uri and before.get(file) == diagnostics.get(file):
                continue
            shown = list(self._published.get(file, {}).get(file, ()))
            for root, found in self._published.items():
                known = {(one["code"], str(one["range"]["start"])) for one in shown}
                if root != file and root in self._due:
                    found.pop(file, None)  # they are those of an older text; its check publishes the new ones
                elif root != file:  # a file that extends this one has its problems too
                    shown += [
                        one
                        for one in found.get(file, ())
                        if (one["code"], str(one["range"]["start"])) not in known
                    ]
            params: Json = {"uri": file, "diagnostics": shown}
            own = self.documents.by_uri.get(file)
            shown_version = version if file == uri else own.version if own is not None else None
            if shown_version is not None:
                params["version"] = shown_version
            self._notify("textDocument/publishDiagnostics", params)


_END: Final = object()
_INVALID: Final[Json] = {
    "error": {"code": PARSE_ERROR, "message": "The message must be a JSON object."},
    "id": None,
}


_CHANGE_METHODS: Final = ("textDocument/didOpen", "textDocument/didChange")


def _find_uri(params: Json) -> str:
    """Return the URI of the text of a message; an empty one for a malformed message."""
    item = params.get("textDocument")
    uri = item.get("uri") if isinstance(item, dict) else None
    return uri if isinstance(uri, str) else ""


class _Inbox:
    """The messages that have arrived, in their order, and what they make unnecessary."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._has_ended = False
        self._messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._changes: Counter[str] = Counter()
        """The number of messages with a newer version of each text that were not handled yet."""
        self._pending_ids: set[Any] = set()
        self._cancelled_ids: set[Any] = set()

    def start(self) -> None:
        """Read messages in a thread, until the stream ends."""
        if not self._has_ended:
            threading.Thread(target=self.read_all, daemon=True).start()

    def take(self, seconds: float) -> Any:
        """Return the next message, ``_END`` at the end, or None after this time without one."""
        try:
            return self._messages.get(timeout=seconds) if seconds > 0 else self._messages.get_nowait()
        except queue.Empty:
            return None

    def is_cancelled(self, identity: Any) -> bool:
        """Return whether a request was cancelled."""
        with self._lock:
            return self._make_hashable(identity) in self._cancelled_ids

    def forget_request(self, identity: Any) -> None:
        """Forget a request that was answered."""
        with self._lock:
            self._pending_ids.discard(self._make_hashable(identity))
            self._cancelled_ids.discard(self._make_hashable(identity))

    def count_handled(self, uri: str) -> None:
        """Count a message with a newer version of a text as handled, even if it was ignored."""
        with self._lock:
            self._changes[uri] -= 1
            if self._changes[uri] <= 0:
                del self._changes[uri]

    def has_newer(self, uri: str) -> bool:
        """Return whether a newer version of a text has arrived."""
        return self._changes[uri] > 0

    def read_all(self) -> None:
        """Read messages until the stream ends."""
        while True:
            try:
                message = read_message(self._stream)
            except (EOFError, OSError, ValueError, BrokenStreamError):
                self._has_ended = True
                self._messages.put(_END)
                return
            if message is not None:
                self._note_message(message)
                self._messages.put(message)
            else:
                self._messages.put(_INVALID)

    def _note_message(self, message: Json) -> None:
        method, params = message.get("method"), message.get("params")
        params = params if isinstance(params, dict) else {}
        with self._lock:
            if "id" in message and method is not None:
                self._pending_ids.add(self._make_hashable(message["id"]))
            elif method == "$/cancelRequest" and self._make_hashable(params.get("id")) in self._pending_ids:
                self._cancelled_ids.add(self._make_hashable(params.get("id")))
            elif method in _CHANGE_METHODS:
                self._changes[_find_uri(params)] += 1

    @staticmethod
    def _make_hashable(identity: Any) -> Any:
        return identity if isinstance(identity, (str, int, float)) else str(identity)


def serve_standard_streams() -> int:
    """Serve an editor over standard input and output; return the exit code."""
    # A copy of standard input: Python waits at its end for a thread that reads the original.
    reader, writer = os.fdopen(os.dup(sys.stdin.fileno()), "rb"), os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing that is printed may mix with the messages
    gc.collect()
    gc.freeze()
    gc.enable()
    try:
        return LanguageServer(reader, writer).run()
    finally:
        with suppress(OSError):
            writer.close()
