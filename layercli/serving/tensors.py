"""Tensors of the Open Inference Protocol: in JSON, or as bytes after the JSON."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from math import prod
from typing import Any, Final, TypeAlias

import numpy as np

from layercli.data.new_examples import to_object_array
from layercli.data.types import Array
from layercli.serving.request_errors import make_bad_request, make_request_error
from layercli.source.nodes import sanitize_text

NUMPY_DTYPES: Final[Mapping[str, Any]] = {
    "BOOL": np.dtype("?"),
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
}
"""Datatype of numbers -> dtype of NumPy."""
BYTES: Final = "BYTES"
"""The datatype of texts and other bytes of any length."""
_DATATYPES: Final = {dtype: name for name, dtype in NUMPY_DTYPES.items()}
_LENGTH: Final = struct.Struct("<I")
_MAX_AXES: Final = 16
_MAX_EMPTY: Final = 1 << 48
"""Most values that an array without values has, if its empty axes are not counted."""
_MAX_SIZE: Final = 1 << 62
"""Largest size of an axis: many more values than a request can have."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output of the model as the metadata describes it."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    """Sizes; -1 is any size."""
    description: str = ""
    example: str = "text"
    """A value of an input of texts."""

    def as_json(self) -> dict[str, Any]:
        """Return the entry of the metadata."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """A request to infer: its tensors, and what the response has."""

    tensors: Mapping[str, Array]
    """Texts are bytes in arrays of objects."""
    request_id: str | None
    output_names: tuple[str, ...] | None
    """None for all outputs."""
    is_binary: Callable[[str], bool]
    """Whether an output is sent as bytes."""


JsonDocument: TypeAlias = dict[str, Any]


def find_datatype(array: Array) -> str:
    """Return the datatype of an array."""
    return _DATATYPES.get(array.dtype.newbyteorder("<"), BYTES)


def parse_inference_request(document: Any, binary: bytes) -> InferenceRequest:
    """Return the request of its JSON, and of the bytes after the JSON.

    Raises:
        RequestError: A tensor is not what its name, datatype and shape say.
    """
    if not isinstance(document, dict):
        raise make_bad_request("The request must be an object.", "See `/openapi.json` for its form.")
    request_id = document.get("id")
    if not isinstance(request_id, str | None):
        raise make_bad_request("`id` must be a text.", path="id")
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise make_bad_request(
            "`inputs` must be a list of tensors.",
            'Each is {"name": ..., "shape": [...], "datatype": ..., "data": [...]}.',
            path="inputs",
        )
    tensors: dict[str, Array] = {}
    rest = memoryview(binary)
    for index, entry in enumerate(inputs):
        path = f"inputs[{index}]"
        name = _read_name(entry, path)
        if name in tensors:
            raise make_bad_request(f"The input `{_show_name(name)}` occurs twice.", path=path)
        tensors[name], rest = _read_tensor(entry, rest, path)
    if rest:
        raise make_bad_request(
            f"{len(rest):,} bytes follow the last tensor.",
            "`binary_data_size` of each input must be the number of its bytes.",
        )
    return InferenceRequest(tensors, request_id, *_read_outputs(document))


def _read_name(entry: Any, path: str) -> str:
    name = entry.get("name") if isinstance(entry, dict) else None
    if not isinstance(name, str):
        raise make_bad_request(f"`{path}` must be an object with a `name`.", path=path)
    return name


def _read_parameters(entry: JsonDocument, path: str) -> JsonDocument:
    parameters = entry.get("parameters", {})
    if not isinstance(parameters, dict):
        raise make_bad_request(f"`parameters` of `{path}` must be an object.", path=f"{path}.parameters")
    if "shared_memory_region" in parameters:
        raise make_bad_request("Shared memory is not supported.", "Send the values.", path=path)
    return parameters


def _read_outputs(document: JsonDocument) -> tuple[tuple[str, ...] | None, Callable[[str], bool]]:
    """Return the names of the requested outputs, and whether each is sent as bytes."""
    default = _read_parameters(document, "the request").get("binary_data_output", False) is True
    entries = document.get("outputs")
    if entries is None or entries == []:
        return None, lambda _name: default
    if not isinstance(entries, list):
        raise make_bad_request("`outputs` must be a list.", path="outputs")
    is_binary: dict[str, bool] = {}
    for index, entry in enumerate(entries):
        path = f"outputs[{index}]"
        name, parameters = _read_name(entry, path), _read_parameters(entry, path)
        if parameters.get("classification"):
            raise make_bad_request("The parameter `classification` is not supported.", path=path)
        is_binary[name] = parameters.get("binary_data", default) is True
    return tuple(is_binary), lambda name: is_binary.get(name, default)


def _read_tensor(entry: JsonDocument, rest: memoryview, path: str) -> tuple[Array, memoryview]:
    """Return a tensor, and the bytes after it."""
    title = f"The input `{_show_name(entry['name'])}`"
    datatype, shape = str(entry.get("datatype")), entry.get("shape")
    if datatype not in NUMPY_DTYPES and datatype != BYTES:
        known = ", ".join([*NUMPY_DTYPES, BYTES])
        raise make_bad_request(
            f"{title} must have a known `datatype`.", f"Write one of {known}.", path=f"{path}.datatype"
        )
    if (
        not isinstance(shape, list)
        or not 0 < len(shape) <= _MAX_AXES
        or not all(type(size) is int and 0 <= size <= _MAX_SIZE for size in shape)
        or (0 in shape and prod(max(size, 1) for size in shape) > _MAX_EMPTY)  # NumPy counts so
    ):
        raise make_bad_request(
            f"{title} must have a `shape`, a list of sizes from the number of examples.", path=f"{path}.shape"
        )
    size = _read_parameters(entry, path).get("binary_data_size")
    if size is None:
        if "data" not in entry:
            raise make_bad_request(f"{title} has no `data`.", path=f"{path}.data")
        return _read_json_values(entry["data"], datatype, shape, title, path), rest
    if "data" in entry:
        raise make_bad_request(f"{title} has both `data` and `binary_data_size`.", path=path)
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(rest):
        raise make_bad_request(
            f"`binary_data_size` of the input `{_show_name(entry['name'])}` must be the number of its bytes after the JSON; "
            f"{len(rest):,} bytes are left.",
            "The header Inference-Header-Content-Length must be the number of bytes of the JSON.",
            path=f"{path}.parameters.binary_data_size",
        )
    return _read_bytes(rest[:size], datatype, shape, title, path), rest[size:]


def _check_count(found: int, shape: Sequence[int], title: str, path: str) -> None:
    expected = prod(shape)
    if found != expected:
        raise make_bad_request(
            f"{title} has {found:,} values, but the shape {list(shape)} has {expected:,}.", path=path
        )


def _read_json_values(data: Any, datatype: str, shape: Sequence[int], title: str, path: str) -> Array:
    if not isinstance(data, list):
        raise make_bad_request(f"`data` of {title.lower()} must be a list.", path=f"{path}.data")
    values = data
    while values and all(isinstance(value, list) for value in values):  # nested, or flat
        values = [item for value in values for item in value]
    _check_count(len(values), shape, title, f"{path}.data")
    if datatype == BYTES:
        if not all(isinstance(value, str) for value in values):
            raise make_bad_request(f"{title} must contain texts.", path=f"{path}.data")
        return to_object_array([value.encode("utf-8", "replace") for value in values]).reshape(shape)
    kinds = {"BOOL": (bool,), "FP": (int, float)}.get(datatype.rstrip("0123456789"), (int,))
    if not all(
        isinstance(value, kinds) and (kinds == (bool,) or not isinstance(value, bool)) for value in values
    ):
        expected = {"BOOL": "true or false", "FP": "numbers"}.get(datatype.rstrip("0123456789"), "integers")
        raise make_bad_request(f"{title} must contain {expected}.", path=f"{path}.data")
    try:
        with np.errstate(over="raise"):
            return np.array(values, NUMPY_DTYPES[datatype]).reshape(shape)
    except (OverflowError, FloatingPointError):
        raise make_bad_request(
            f"{title} has a number that does not fit into {datatype}.", path=f"{path}.data"
        ) from None


def _read_bytes(data: memoryview, datatype: str, shape: Sequence[int], title: str, path: str) -> Array:
    if datatype == BYTES:
        values = _split_texts(data, title, path)
        _check_count(len(values), shape, title, path)
        return to_object_array(values).reshape(shape)
    dtype = NUMPY_DTYPES[datatype]
    expected = prod(shape) * dtype.itemsize
    if len(data) != expected:
        raise make_bad_request(
            f"{title} has {len(data):,} bytes, but {datatype} of the shape {list(shape)} has {expected:,}.",
            path=path,
        )
    array: Array = np.frombuffer(data, np.dtype("u1") if datatype == "BOOL" else dtype)
    return (array != 0 if datatype == "BOOL" else array).reshape(shape)


def _split_texts(data: memoryview, title: str, path: str) -> list[bytes]:
    """Return values that each follow their length."""
    values: list[bytes] = []
    position = 0
    while position < len(data):
        end = position + _LENGTH.size
        length = _LENGTH.unpack(data[position:end])[0] if end <= len(data) else len(data)
        if end + length > len(data):
            raise make_bad_request(
                f"{title} ends within a value.",
                "Each value is its length in 4 bytes, and then its bytes.",
                path=path,
            )
        values.append(bytes(data[end : end + length]))
        position = end + length
    return values


def make_inference_response(
    outputs: Mapping[str, Array], request: InferenceRequest, head: JsonDocument
) -> tuple[JsonDocument, list[bytes]]:
    """Return the document of a response, and the bytes after it.

    Raises:
        RequestError: A name is not that of an output.
    """
    names = request.output_names or tuple(outputs)
    entries, parts = [], []
    for name in names:
        if name not in outputs:
            raise make_bad_request(
                f"The model has no output `{_show_name(name)}`.",
                f"Its outputs are {', '.join(map(_show_name, outputs))}.",
                path="outputs",
            )
        array = outputs[name]
        datatype = find_datatype(array)
        entry: JsonDocument = {"name": name, "datatype": datatype, "shape": list(array.shape)}
        if request.is_binary(name):
            parts.append(_to_bytes(array, datatype))
            entry["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            entry["data"] = _to_json_values(array, datatype)
        entries.append(entry)
    identity = {} if request.request_id is None else {"id": request.request_id}
    return {**head, **identity, "outputs": entries}, parts


def _to_bytes(array: Array, datatype: str) -> bytes:
    if datatype != BYTES:
        return np.ascontiguousarray(array, NUMPY_DTYPES[datatype]).tobytes()
    texts = [str(value).encode("utf-8", "replace") for value in array.ravel().tolist()]
    return b"".join(_LENGTH.pack(len(text)) + text for text in texts)


def _to_json_values(array: Array, datatype: str) -> list[Any]:
    values = array.ravel().tolist()
    if datatype == BYTES:
        return [str(value) for value in values]
    if datatype.startswith("FP") and not np.isfinite(array).all():
        raise make_request_error(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "no-prediction",
            "The model returned NaN or infinite numbers, which JSON does not have.",
            'Request binary outputs: `"parameters": {"binary_data_output": true}`.',
        )
    return values


def _show_name(name: str) -> str:
    return sanitize_text(name, limit=60)
