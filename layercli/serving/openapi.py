"""The OpenAPI document of the server."""

from __future__ import annotations

from typing import Any, Final

from layercli.serving.example_reader import MAX_ROWS
from layercli.serving.served_model import ServedModel
from layercli.serving.tensors import BYTES, NUMPY_DTYPES
from layercli.version import __version__

_JSON: Final = "application/json"
_PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "code": {"type": "string"},
        "severity": {"enum": ["error", "warning"]},
        "message": {"type": "string"},
        "hint": {"type": ["string", "null"]},
        "path": {"type": "string", "description": "the place in the request"},
        "file": {"type": ["string", "null"]},
        "line": {"type": ["integer", "null"]},
        "column": {"type": ["integer", "null"]},
    },
}
_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["ok", "error", "problems"],
    "properties": {
        "ok": {"const": False},
        "error": {"type": "string"},
        "problems": {"type": "array", "items": {"$ref": "#/components/schemas/Problem"}},
    },
}
_TENSOR: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "datatype": {"enum": [*NUMPY_DTYPES, BYTES]},
        "data": {"type": "array"},
        "parameters": {"type": "object"},
    },
}
_STATUSES: Final = {
    "400": "the request is wrong",
    "408": "the body does not arrive in time",
    "413": "the request is too large",
    "415": "the body is not JSON",
    "429": "too many requests wait",
    "503": "the server shuts down, or the answer takes too long",
}


def make_openapi_document(model: ServedModel) -> dict[str, Any]:
    """Return the document, with the rows and tensors of the model."""
    row = model.reader.describe_row()
    rows = {
        "type": "array",
        "items": {"$ref": "#/components/schemas/Row"},
        "minItems": 1,
        "maxItems": MAX_ROWS,
    }
    request = {"oneOf": [{"type": "object", "required": ["rows"], "properties": {"rows": rows}}, rows]}
    address = f"/v2/models/{model.name}"
    return {
        "openapi": "3.1.0",
        "info": {"title": model.name, "version": f"{model.version} (layercli {__version__})"},
        "paths": {
            "/predict": {"post": _describe_post("Predict rows", request, _describe_answer(model))},
            address: {"get": _describe_get("Inputs and outputs of the model")},
            f"{address}/ready": {"get": _describe_get("Whether the model takes requests")},
            f"{address}/infer": {
                "post": _describe_post("Predict tensors", _describe_inference(), _describe_tensors())
            },
            "/v2": {"get": _describe_get("The server")},
            "/v2/health/live": {"get": _describe_get("Whether the server runs")},
            "/v2/health/ready": {"get": _describe_get("Whether the server takes requests")},
            "/metrics": {"get": _describe_get("Figures for Prometheus", "text/plain")},
        },
        "components": {
            "schemas": {"Row": row, "Tensor": _TENSOR, "Problem": _PROBLEM, "Error": _ERROR},
        },
    }


def _describe_get(summary: str, media_type: str = _JSON) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": {"description": "OK", "content": {media_type: {}}}}}


def _describe_post(summary: str, request: dict[str, Any], response: dict[str, Any]) -> dict[str, Any]:
    error = {"content": {_JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {_JSON: {"schema": request}}},
        "responses": {
            "200": {"description": "OK", "content": {_JSON: {"schema": response}}},
            **{status: {"description": text, **error} for status, text in _STATUSES.items()},
        },
    }


def _describe_answer(model: ServedModel) -> dict[str, Any]:
    columns: dict[str, Any] = {spec.name: {} for spec in model.outputs}
    row = {"type": "object", "properties": {**columns, "error": {"type": ["string", "null"]}}}
    return {
        "type": "object",
        "properties": {
            "ok": {"const": True},
            "rows": {"type": "array", "items": row},
            "problems": {"type": "array", "items": {"$ref": "#/components/schemas/Problem"}},
        },
    }


def _describe_inference() -> dict[str, Any]:
    tensors = {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}}
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "inputs": tensors,
            "outputs": {"type": "array", "items": {"type": "object", "required": ["name"]}},
            "parameters": {"type": "object"},
        },
    }


def _describe_tensors() -> dict[str, Any]:
    tensors = {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}}
    names = {"type": "string"}
    return {
        "type": "object",
        "properties": {"model_name": names, "model_version": names, "id": names, "outputs": tensors},
    }
