"""The page at the root of the server: the model, its inputs and outputs, and commands to try it."""

from __future__ import annotations

import json
from typing import Any, Final

from layercli.page.html import Column, make_document, make_element, make_preformatted, make_table, make_text
from layercli.serving.served_model import ServedModel
from layercli.serving.tensors import BYTES, TensorSpec

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_MAX_EXAMPLE_VALUES: Final = 8
_ADDRESSES: Final = (
    ("POST /predict", "rows as JSON objects; answers with the columns of `layercli predict`"),
    ("GET /v2/models/{name}", "names, datatypes and shapes of the inputs and outputs"),
    ("POST /v2/models/{name}/infer", "tensors of the Open Inference Protocol, as JSON or binary"),
    ("GET /v2/health/ready", "whether the server takes requests"),
    ("GET /v2/health/live", "whether the server runs"),
    ("GET /metrics", "figures for Prometheus"),
    ("GET /openapi.json", "this interface as an OpenAPI document"),
)


def make_start_page(model: ServedModel, address: str) -> str:
    """Return the page as HTML. ``address`` is that of the server, as the browser names it."""
    return make_document(
        f"{model.title} - layercli",
        make_element("h1", model.title),
        make_element("h2", "Inputs"),
        _make_tensor_table(model.reader.inputs, "Inputs"),
        make_element("h2", "Outputs"),
        _make_tensor_table(model.outputs, "Outputs"),
        make_element("h2", "Try it"),
        make_preformatted(make_example_command(model, address)),
        make_element("h2", "Addresses"),
        make_table(
            (Column("Address"), Column("Content")),
            [
                (make_element("code", path.format(name=model.name)), make_text(content))
                for path, content in _ADDRESSES
            ],
            label="Addresses",
        ),
    )


def _make_tensor_table(specs: tuple[TensorSpec, ...], label: str) -> str:
    rows = [(spec.name, spec.datatype, ", ".join(map(str, spec.shape)), spec.description) for spec in specs]
    columns = (Column("Name"), Column("Datatype"), Column("Shape"), Column("Description"))
    return make_table(columns, rows, label=label)


def make_example_command(model: ServedModel, address: str) -> str:
    """Return a command that predicts one row."""
    body = json.dumps({"rows": [make_example_row(model)]}, ensure_ascii=False).replace("'", "'\\''")
    return f"curl {address}/predict -H 'Content-Type: application/json' \\\n  -d '{body}'"


def make_example_row(model: ServedModel) -> dict[str, Any]:
    """Return a row of zeros and short texts; arrays are shown with few values only."""
    return {spec.name: _make_example_value(spec) for spec in model.reader.inputs}


def _make_example_value(spec: TensorSpec) -> Any:
    value: Any = 0.0 if spec.datatype.startswith("FP") else spec.example if spec.datatype == BYTES else 0
    for size in reversed(spec.shape[1:]):
        value = [value] * min(max(size, 1), _MAX_EXAMPLE_VALUES)
    return value
