"""Bodies, rows and tensors of requests at their limits, without a server."""

import asyncio
import gzip
import struct
import zlib
from types import SimpleNamespace

import numpy as np
import pytest

from layercli.io import regular
from layercli.serving.batcher import BatchLimits
from layercli.serving.compression import decompress_body
from layercli.serving.example_reader import (
    describe_value,
    require_names,
    require_row_names,
    require_rows,
    to_json_value,
)
from layercli.serving.json_body import parse_json_body
from layercli.serving.request_errors import RequestError
from layercli.serving.service import ServerLimits, Service
from layercli.serving.tensors import TensorSpec, find_datatype, parse_inference_request


def refusal(function, *arguments):
    """The status, the message and the path of the refused request."""
    with pytest.raises(RequestError) as error:
        function(*arguments)
    [problem] = error.value.problems
    return int(error.value.status), problem.message, problem.path


@pytest.mark.parametrize("depth", [64, 65, 100_000])
def test_json_is_nested_at_most_64_levels_deep(depth):
    content = b"[" * depth + b"]" * depth
    if depth == 64:
        assert parse_json_body(content)
    else:
        assert refusal(parse_json_body, content)[:2] == (
            400,
            "The request is nested more than 64 levels deep.",
        )
    mixed = b'{"a":' * (depth - 1) + b"[1]" + b"}" * (depth - 1)
    if depth == 64:
        assert parse_json_body(mixed)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b" \n", "The request has no body."),
        (b'{"a": 1, "b": 2, "a": 3}', "The name `a` occurs twice in one object."),
        (b"[\n  1,,", "The request is not JSON: Expecting value in line 2, column 5."),
        (b'"ab\xff"', "The request must be UTF-8; byte 4 is not."),
        (b"[NaN]", "NaN is not JSON."),
        (
            rb'["\uD83D\uDE00", "\ud800"]',
            "The text of the request has `\\ud800`, which is only half of a character.",
        ),
        (b"3", "The request must be a JSON object or a list."),
        (b"[" + b"1" * 5000 + b"]", "The request has a number with too many digits."),
    ],
)
def test_bodies_that_are_not_valid_json(content, message):
    assert refusal(parse_json_body, content)[:2] == (400, message)


def test_json_with_too_many_values_is_too_large(monkeypatch):
    monkeypatch.setattr(regular, "_MAX_JSON_VALUES", 3)
    assert parse_json_body(b"[1,2,3]") == [1, 2, 3]
    assert refusal(parse_json_body, b"[1,2,3,4]")[0] == 413


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
def test_compressed_bodies_have_a_largest_size(compress):
    assert decompress_body(compress(b"abc"), 3) == b"abc"
    assert decompress_body(compress(b"abc"), 2) is None
    for damaged in (compress(b"abc")[:-1], compress(b"abc") + b"x", b"abc"):
        assert refusal(decompress_body, damaged, 10)[0] == 400


def test_rows_have_a_largest_number():
    assert len(require_rows([{}] * 4000)) == 4000
    assert require_rows({"rows": [{"a": 1}]}) == [{"a": 1}]
    status, message, _ = refusal(require_rows, [{}] * 4001)
    assert (status, message) == (413, "The request has 4,001 examples; the limit is 4,000.")


@pytest.mark.parametrize(
    ("document", "message", "path"),
    [
        ({}, "The request must be a list of rows, or an object whose only key is `rows`.", ""),
        (
            {"rows": [{}], "x": 1},
            "The request must be a list of rows, or an object whose only key is `rows`, got `x`.",
            "",
        ),
        ([], "`rows` must be a list with at least one row.", "rows"),
        ({"rows": 3}, "`rows` must be a list with at least one row.", "rows"),
        ([{}, 3], "Row 2 must be an object with the values by their names.", "rows[1]"),
    ],
)
def test_documents_that_are_not_rows(document, message, path):
    assert refusal(require_rows, document) == (400, message, path)


def test_row_without_a_value_is_named():
    require_row_names(0, {"a": 1, "b": 2}, ["a"], "hint")
    assert refusal(require_row_names, 1, {"b": 2}, ["a", "b"], "hint") == (
        400,
        "Row 2 has no `a`.",
        "rows[1]",
    )


def test_tensors_are_the_inputs_of_the_model():
    specs = [TensorSpec("a", "FP32", (-1, 2)), TensorSpec("b", "FP32", (-1,))]
    array = np.zeros(3)
    assert require_names({"a": array, "b": array}, specs) == 3
    assert refusal(require_names, {"a": array, "c": array}, specs)[1] == "The model has no input `c`."
    assert refusal(require_names, {"a": array}, specs)[1] == "The request has no input `b`."
    found = refusal(require_names, {"a": array, "b": array[:2]}, specs)[1]
    assert found == "The inputs must have the same number of examples."
    found = refusal(require_names, {"a": array[:0], "b": array[:0]}, specs)[1]
    assert found == "The request has no examples."


def test_values_of_rows_are_described():
    assert describe_value(TensorSpec("a", "FP32", (-1,))) == {"type": "number"}
    assert describe_value(TensorSpec("a", "FP32", (-1, 0, -1), "pixels")) == {
        "type": "array",
        "items": {"type": "array", "items": {"type": "number"}},
        "minItems": 0,
        "maxItems": 0,
        "description": "pixels",
    }
    assert describe_value(TensorSpec("a", "BYTES", (-1,)))["type"] == ["string", "number", "boolean", "null"]
    values = [b"\xc3\xa9", float("nan"), 1.5, "nan", None]
    assert [to_json_value(value) for value in values] == ["é", None, 1.5, "nan", None]


def request(*inputs, binary=b"", **document):
    return parse_inference_request({"inputs": list(inputs), **document}, binary)


def tensor(**changes):
    entry = {"name": "a", "datatype": "INT8", "shape": [1], "data": [1]} | changes
    return {key: value for key, value in entry.items() if value is not None}


@pytest.mark.parametrize(
    ("datatype", "value", "fits"),
    [
        ("INT8", 127, True),
        ("INT8", 128, False),
        ("INT8", -128, True),
        ("INT8", -129, False),
        ("UINT8", 255, True),
        ("UINT8", -1, False),
        ("INT64", 2**63 - 1, True),
        ("UINT64", 2**64 - 1, True),
        ("UINT64", 2**64, False),
        ("FP16", 65504, True),  # the largest number of IEEE 754 binary16
        ("FP16", 1e6, False),
        ("FP64", 1e308, True),
    ],
)
def test_numbers_that_fit_into_their_datatype(datatype, value, fits):
    entry = tensor(datatype=datatype, data=[value])
    if fits:
        assert request(entry).tensors["a"].tolist() == [value]
        assert find_datatype(request(entry).tensors["a"]) == datatype
    else:
        message = f"The input `a` has a number that does not fit into {datatype}."
        assert refusal(request, entry) == (400, message, "inputs[0].data")


@pytest.mark.parametrize(
    ("shape", "is_valid"),
    [
        ([1], True),
        ([1] * 16, True),
        ([1] * 17, False),
        ([], False),
        (None, False),
        ([True], False),
        ([-1], False),
        ([1.0], False),
        ([0, 1 << 48], True),
        ([0, (1 << 48) + 1], False),
        ([0, 1 << 62], False),
    ],
)
def test_shapes_of_tensors(shape, is_valid):
    entry = tensor(shape=shape, data=[] if shape and 0 in shape else [1])
    if is_valid:
        assert request(entry).tensors["a"].shape == tuple(shape)
    else:
        message = "The input `a` must have a `shape`, a list of sizes from the number of examples."
        assert refusal(request, entry) == (400, message, "inputs[0].shape")


def test_largest_axis_has_another_error():
    message = refusal(request, tensor(shape=[1 << 62]))[1]
    assert message.startswith("The input `a` has 1 values, but the shape [4611686018427387904] has")
    assert "must have a `shape`" in refusal(request, tensor(shape=[(1 << 62) + 1]))[1]


@pytest.mark.parametrize(
    ("datatype", "data", "message"),
    [
        ("BOOL", [1], "The input `a` must contain true or false."),
        ("INT8", [True], "The input `a` must contain integers."),
        ("INT8", [1.0], "The input `a` must contain integers."),
        ("FP32", [True], "The input `a` must contain numbers."),
        ("FP32", ["1"], "The input `a` must contain numbers."),
        ("BYTES", [1], "The input `a` must contain texts."),
        ("INT8", [1, 2], "The input `a` has 2 values, but the shape [1] has 1."),
        ("INT8", "1", "`data` of the input `a` must be a list."),
    ],
)
def test_values_that_are_not_of_the_datatype(datatype, data, message):
    assert refusal(request, tensor(datatype=datatype, data=data)) == (400, message, "inputs[0].data")


def test_values_of_each_kind():
    assert request(tensor(datatype="BOOL", data=[True])).tensors["a"].tolist() == [True]
    assert request(tensor(datatype="FP32", data=[1])).tensors["a"].dtype == np.float32
    assert request(tensor(datatype="BYTES", data=["é"])).tensors["a"].tolist() == [b"\xc3\xa9"]
    nested = request(tensor(shape=[2, 2], data=[[1, 2], [3, 4]])).tensors["a"]
    assert nested.tolist() == request(tensor(shape=[2, 2], data=[1, 2, 3, 4])).tensors["a"].tolist()


def test_bytes_of_tensors_follow_each_other():
    binary = struct.pack("<hh?", 1, -2, True)
    first = tensor(datatype="INT16", shape=[2], data=None, parameters={"binary_data_size": 4})
    second = tensor(name="b", datatype="BOOL", data=None, parameters={"binary_data_size": 1})
    found = request(first, second, binary=binary).tensors
    assert (found["a"].tolist(), found["b"].tolist()) == ([1, -2], [True])
    with pytest.raises(RequestError, match="1 bytes follow the last tensor"):
        request(first, second, binary=binary + b"x")
    with pytest.raises(RequestError, match="4 bytes, but INT16 of the shape \\[3\\] has 6"):
        request(first | {"shape": [3]}, binary=binary[:4])
    for size in (5, -1, True, "4", 4.0):
        with pytest.raises(RequestError, match="4 bytes are left"):
            request(first | {"parameters": {"binary_data_size": size}}, binary=binary[:4])
    with pytest.raises(RequestError, match="has both `data` and `binary_data_size`"):
        request(first | {"data": [1, 2]}, binary=binary[:4])


@pytest.mark.parametrize("binary", [b"\1\0\0", b"\2\0\0\0a", b"\1\0\0\0ab"])
def test_binary_text_must_be_complete(binary):
    parameters = {"binary_data_size": len(binary)}
    with pytest.raises(RequestError, match="The input `a` ends within a value"):
        request(tensor(datatype="BYTES", data=None, parameters=parameters), binary=binary)


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"id": 3}, "id"),
        ({"inputs": []}, "inputs"),
        ({"inputs": {}}, "inputs"),
        ({"inputs": [3]}, "inputs[0]"),
        ({"inputs": [tensor(), tensor()]}, "inputs[1]"),
        ({"inputs": [tensor(datatype="INT7")]}, "inputs[0].datatype"),
        ({"inputs": [tensor(data=None)]}, "inputs[0].data"),
        ({"inputs": [tensor(parameters=[])]}, "inputs[0].parameters"),
        ({"inputs": [tensor(parameters={"shared_memory_region": "x"})]}, "inputs[0]"),
        ({"outputs": {"a": 1}}, "outputs"),
        ({"outputs": [{"name": "x", "parameters": {"classification": 2}}]}, "outputs[0]"),
    ],
)
def test_entries_of_wrong_requests_are_named(document, path):
    status, _, found = refusal(parse_inference_request, {"inputs": [tensor()]} | document, b"")
    assert (status, found) == (400, path)


def test_outputs_that_are_sent_as_bytes():
    plain = request(tensor(), id="7")
    assert (plain.request_id, plain.output_names, plain.is_binary("x")) == ("7", None, False)
    binary = request(tensor(), parameters={"binary_data_output": True}, outputs=[])
    assert (binary.output_names, binary.is_binary("x")) == (None, True)
    outputs = [{"name": "x"}, {"name": "y", "parameters": {"binary_data": True}}]
    some = request(tensor(), outputs=outputs)
    assert (some.output_names, some.is_binary("x"), some.is_binary("y")) == (("x", "y"), False, True)
    outputs[1]["parameters"]["binary_data"] = False
    others = request(tensor(), outputs=outputs, parameters={"binary_data_output": True})
    assert (others.is_binary("x"), others.is_binary("y")) == (True, False)


def test_texts_of_tensors_must_be_utf_8():
    assert to_json_value("\u00e9".encode()) == "\u00e9"
    assert refusal(to_json_value, b"a\xff") == (400, "A text must be UTF-8; its byte 2 is not.", "inputs")


def test_large_bodies_are_parsed_one_after_the_other():
    limits = ServerLimits(BatchLimits(1, 0, 1, 1), 1 << 24)

    async def count_together(size):
        service = Service("run", SimpleNamespace(name="a", version="1"), limits, trust=False)
        entered = 0

        async def parse():
            nonlocal entered
            async with service.limit_parsing(size):
                entered += 1
                await asyncio.sleep(60)

        tasks = [asyncio.create_task(parse()) for _ in range(3)]
        for _ in range(5):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        return entered

    assert asyncio.run(count_together(1 << 20)) == 3
    assert asyncio.run(count_together((1 << 20) + 1)) == 1


def test_bodies_in_memory_are_limited():
    service = SimpleNamespace(_body_bytes=0, limits=SimpleNamespace(max_body=10))
    Service.add_body_bytes(service, 80)
    status, message, _ = refusal(Service.add_body_bytes, service, 1)
    assert (status, message) == (429, "Too many large requests are sent at the same time.")
    Service.add_body_bytes(service, -1)
    assert service._body_bytes == 80
    Service.add_body_bytes(service, 0)
    Service.add_body_bytes(service, -80)
    assert service._body_bytes == 0
