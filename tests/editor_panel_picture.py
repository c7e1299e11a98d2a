"""Draw a config and the VS Code panel. Write docs/editor-panel.png: ``python -m tests.editor_panel_picture``.

It needs Chromium. The text and its shapes, and the picture, are answers of the language server. The panel is the page that
`makePage` in editors/vscode/src/texts.ts returns, with a stand-in for the function that VS Code gives to such a page.
"""

from __future__ import annotations

import json
import tempfile
from html import escape
from pathlib import Path

from PIL import Image

from layercli.language_server.documents import uri_from_path
from tests.browser import take_picture
from tests.language_server.editor import Editor

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "editor-panel.png"
_WIDTH, _HEIGHT = 1090, 550
_TEXT = """\
name: residual

blocks:
  convolution:
    params: [filters]
    layers:
      - {type: Conv2D, filters: "${filters}", kernel_size: 3, padding: same}
      - BatchNormalization
  residual:
    layers:
      - {block: convolution, with: {filters: 16}}
      - ReLU
      - {block: convolution, with: {filters: 16}}
      - {type: Add, inputs: [input, previous]}
      - ReLU

model:
  input: [8, 8, 1]
  layers:
    - {type: Rescaling, scale: 0.0625}
    - {block: convolution, name: stem, with: {filters: 16}}
    - {block: residual, repeat: 3}
    - GlobalAveragePooling2D
    - {type: Dense, units: 10, activation: softmax}
"""
_FRAME = """<!DOCTYPE html><meta charset="utf-8"><style>
body { margin: 0; display: flex; height: 100vh; background: #fff; }
pre { flex: 1; margin: 0; padding: 16px; font: 12.5px/19px 'DejaVu Sans Mono', monospace; color: #1f2937; }
pre i { font-style: normal; color: #8a94a6; }
iframe { flex: none; width: 330px; border: 0; border-left: 1px solid #d5dae3; }
</style>"""


def main() -> None:
    """Ask the server for the shapes and the picture, and take a picture of both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "residual.yaml"
        config.write_text(_TEXT)
        editor = Editor()
        editor.open(config)
        hints = editor.ask("inlayHint", config, range={})
        picture = editor.request("layercli/modelPicture", {"textDocument": {"uri": uri_from_path(config)}})
        (folder / "panel.html").write_text(make_panel_page(picture))
        page = folder / "page.html"
        page.write_text(f'{_FRAME}<pre>{mark_hints(_TEXT, hints)}</pre><iframe src="panel.html"></iframe>')
        take_picture(page, folder / "page.png", folder, width=_WIDTH, height=_HEIGHT)
        Image.open(folder / "page.png").convert("RGB").quantize(64).save(PICTURE, optimize=True)


def mark_hints(text: str, hints: list[dict[str, object]]) -> str:
    """Return the text as HTML, with the hints of each line at its end."""
    labels = {hint["position"]["line"]: hint["label"] for hint in hints}  # type: ignore[index]
    lines = enumerate(text.splitlines())
    return "\n".join(
        f"{escape(line)}<i> {escape(str(labels[row]))}</i>" if row in labels else escape(line)
        for row, line in lines
    )


def make_panel_page(picture: dict[str, object]) -> str:
    """Return the page of the extension's panel, which gets the picture as VS Code would send it."""
    source = (ROOT / "editors" / "vscode" / "src" / "texts.ts").read_text()
    page = source.partition("return `<!DOCTYPE")[2].partition("`;\n}")[0]
    page = f"<!DOCTYPE{page}".replace("${nonce}", "picture")
    message = json.dumps(picture).replace("</", "<\\/")
    stand_in = f"function acquireVsCodeApi() {{ return {{ postMessage: () => window.postMessage({message}, '*') }}; }}"
    return page.replace('<script nonce="picture">', f'<script nonce="picture">\n{stand_in}', 1)


if __name__ == "__main__":
    main()
