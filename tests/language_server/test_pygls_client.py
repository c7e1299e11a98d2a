"""The server as the client of pygls sees it, which accepts only messages of the protocol's types."""

import asyncio
import sys
from pathlib import Path

import pytest
from lsprotocol import types
from pygls.lsp.client import LanguageClient

from tests.running import HANG_SECONDS

CONFIG = Path(__file__).parents[2] / "configs" / "digits_residual.yaml"
URI = CONFIG.as_uri()
TEXT = CONFIG.read_text()


class Client:
    """A client with its event loop, and one open config."""

    def __init__(self):
        self.runner = asyncio.Runner()
        self.client = LanguageClient("tests", "1")
        self.published = []
        self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(
            lambda params: self.published.append(params)
        )
        self.client.feature(types.CLIENT_REGISTER_CAPABILITY)(lambda _: None)
        self.client.feature(types.WORKSPACE_INLAY_HINT_REFRESH)(lambda _: None)

    def run(self, coroutine):
        return self.runner.run(asyncio.wait_for(coroutine, HANG_SECONDS))

    async def start(self):
        await self.client.start_io(sys.executable, "-m", "layercli", "lsp")
        capabilities = types.ClientCapabilities(
            workspace=types.WorkspaceClientCapabilities(
                did_change_watched_files=types.DidChangeWatchedFilesClientCapabilities(
                    dynamic_registration=True
                )
            )
        )
        params = types.InitializeParams(capabilities=capabilities, root_uri=CONFIG.parent.as_uri())
        self.initialized = await self.client.initialize_async(params)
        self.client.initialized(types.InitializedParams())
        item = types.TextDocumentItem(uri=URI, language_id="yaml", version=1, text=TEXT)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        await self.wait_for_version(1)

    async def wait_for_version(self, version):
        while not self.published or self.published[-1].version != version:
            await asyncio.sleep(0.01)
        return self.published[-1].diagnostics

    async def change(self, version, text):
        identifier = types.VersionedTextDocumentIdentifier(uri=URI, version=version)
        change = types.TextDocumentContentChangeWholeDocument(text=text)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [change]))
        return await self.wait_for_version(version)

    async def end(self):
        await self.client.shutdown_async(None)
        self.client.exit(None)
        await self.client.stop()


@pytest.fixture(scope="module")
def client():
    client = Client()
    client.run(client.start())
    yield client
    client.run(client.end())
    client.runner.close()


IDENTIFIER = types.TextDocumentIdentifier(URI)


def find(word, offset=1):
    before = TEXT[: TEXT.index(word) + offset]
    return types.Position(before.count("\n"), len(before.rpartition("\n")[2]))


def test_capabilities_are_those_of_the_protocol(client):
    capabilities = client.initialized.capabilities
    assert capabilities.position_encoding == "utf-16"
    assert capabilities.hover_provider
    assert capabilities.inlay_hint_provider


def test_diagnostics_follow_the_text(client):
    assert client.published[0].diagnostics == ()
    (problem,) = client.run(client.change(2, TEXT.replace("units: 10", "unit: 10")))
    assert (problem.code, problem.severity) == ("unknown-key", types.DiagnosticSeverity.Error)
    assert problem.range.start == types.Position(31, 20)
    assert client.run(client.change(3, TEXT)) == ()


def test_hover_and_hints_have_the_types_of_the_protocol(client):
    params = types.HoverParams(IDENTIFIER, find("GlobalAverage"))
    hover = client.run(client.client.text_document_hover_async(params))
    assert "(None, 8, 8, 16) → **(None, 16)**" in hover.contents.value
    everything = types.Range(types.Position(0, 0), types.Position(99, 0))
    params = types.InlayHintParams(IDENTIFIER, everything)
    hints = client.run(client.client.text_document_inlay_hint_async(params))
    assert hints[-1].label == "→ (None, 10)"
    assert len(hints) == 12


def test_all_requests_have_the_types_of_the_protocol(client):
    server, run = client.client, client.run
    everything = types.Range(types.Position(0, 0), types.Position(99, 0))

    def place(kind, word, **options):
        return kind(text_document=IDENTIFIER, position=find(word), **options)

    completed = run(
        server.text_document_completion_async(place(types.CompletionParams, "GlobalAverage", context=None))
    )
    assert "Dense" in [item.label for item in completed.items]
    found = run(server.text_document_definition_async(place(types.DefinitionParams, "convolution, name")))
    assert found[0].range.start == types.Position(11, 2)
    context = types.ReferenceContext(include_declaration=True)
    references = place(types.ReferenceParams, "convolution, name", context=context)
    assert len(run(server.text_document_references_async(references))) == 4
    highlights = run(
        server.text_document_document_highlight_async(place(types.DocumentHighlightParams, "filters]"))
    )
    assert len(highlights) == 5
    assert run(server.text_document_prepare_rename_async(place(types.PrepareRenameParams, "convolution:")))
    renamed = run(
        server.text_document_rename_async(place(types.RenameParams, "convolution:", new_name="conv"))
    )
    assert len(renamed.changes[URI]) == 4
    symbols = run(server.text_document_document_symbol_async(types.DocumentSymbolParams(IDENTIFIER)))
    assert [symbol.name for symbol in symbols] == ["name", "seed", "data", "blocks", "model", "train"]
    assert run(server.text_document_folding_range_async(types.FoldingRangeParams(IDENTIFIER)))
    assert run(server.text_document_document_link_async(types.DocumentLinkParams(IDENTIFIER))) == ()
    tokens = run(server.text_document_semantic_tokens_full_async(types.SemanticTokensParams(IDENTIFIER)))
    assert len(tokens.data) % 5 == 0
    lenses = run(server.text_document_code_lens_async(types.CodeLensParams(IDENTIFIER)))
    assert lenses[0].command.title == "14,586 parameters · 1.79 M FLOPs · 26 layers"
    actions = types.CodeActionParams(IDENTIFIER, everything, types.CodeActionContext([]))
    assert run(server.text_document_code_action_async(actions)) is not None
