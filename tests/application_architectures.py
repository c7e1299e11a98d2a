"""Write layercli/layers/applications/architectures.json.gz, the layers of Keras's pretrained models.

python -m tests.application_architectures [NAME ...]

Layers without weights, cost and effect on shapes, such as activations, are left out.
"""

import gzip
import inspect
import json
import sys
from typing import Any

import keras

from layercli.layers.applications.architectures import FILE
from layercli.layers.families.applications import APPLICATIONS
from tests.stateless import unallocated_weights

ARGUMENTS = {
    "Conv2D": "filters kernel_size strides padding groups use_bias",
    "DepthwiseConv2D": "kernel_size strides padding depth_multiplier use_bias",
    "SeparableConv2D": "filters kernel_size strides padding use_bias",
    "Dense": "units use_bias",
    "BatchNormalization": "center scale",
    "LayerNormalization": "center scale",
    "Normalization": "",
    "LayerScale": "",
    "MaxPooling2D": "pool_size strides padding",
    "AveragePooling2D": "pool_size strides padding",
    "GlobalAveragePooling2D": "keepdims",
    "GlobalMaxPooling2D": "keepdims",
    "ZeroPadding2D": "padding",
    "Cropping2D": "cropping",
    "Reshape": "target_shape",
    "Flatten": "",
    "Concatenate": "axis",
    "Add": "",
    "Multiply": "",
}
"""Layers in the file -> the arguments that shapes, weights and cost depend on."""
NO_EFFECT = {"InputLayer", "Activation", "ReLU", "Dropout", "Rescaling", "StochasticDepth", "Sequential"}
CLASSES = 1009
"""A number of classes that is not the size of any other layer."""
EXTRA = {"none": {}, "avg": {"pooling": "avg"}, "max": {"pooling": "max"}}


def build(name: str, size: int, **arguments: Any) -> Any:
    with unallocated_weights():
        return getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), **arguments)


def list_operations(model: Any) -> list[tuple[Any, list[Any], Any]]:
    """Return each operation of a model with its inputs and output, those of nested models included."""
    found = []
    same = {}
    for operation in model.operations:
        for node in operation._inbound_nodes[-1:]:
            if node.is_input:
                continue
            inputs = [same.get(id(x), x) for x in node.input_tensors]
            output = node.output_tensors[0]
            if isinstance(operation, keras.Model):
                inner = operation._functional if isinstance(operation, keras.Sequential) else operation
                same[id(inner.inputs[0])] = inputs[0]
                for each, sources, result in list_operations(inner):
                    found.append((each, [same.get(id(x), x) for x in sources], result))
                same[id(output)] = inner.outputs[0]
            else:
                found.append((operation, inputs, output))
    return found


def list_records(model: Any) -> list[list[Any]]:
    """Return ``[type, arguments, inputs]`` of each layer; inputs count back from the layer, 1 is the one before it."""
    positions = {id(model.inputs[0]): -1}
    records: list[list[Any]] = []
    for operation, inputs, output in list_operations(model):
        sources = [positions[id(x)] for x in inputs]
        kind = type(operation).__name__
        has_effect = kind in ARGUMENTS and not (kind == "Normalization" and not operation.weights)
        if not has_effect:
            assert kind in NO_EFFECT or (inputs[0].shape == output.shape and not operation.weights), kind
            positions[id(output)] = sources[0]
            continue
        settings = operation.get_config()
        arguments = {key: settings[key] for key in ARGUMENTS[kind].split()}
        defaults = {
            key: parameter.default for key, parameter in inspect.signature(type(operation)).parameters.items()
        }
        arguments = {key: shorten(value) for key, value in arguments.items()}
        arguments = {key: value for key, value in arguments.items() if value != shorten(defaults[key])}
        if arguments.get("axis") == 3:
            del arguments["axis"]
        for key, value in arguments.items():
            if value in (CLASSES, [CLASSES]):
                arguments[key] = "classes" if value == CLASSES else ["classes"]
        positions[id(output)] = len(records)
        records.append([kind, arguments, [len(records) - source for source in sources]])
    assert positions[id(model.outputs[0])] == len(records) - 1
    return records


def shorten(value: Any) -> Any:
    """Return one size for equal sizes, and lists for tuples."""
    if isinstance(value, (list, tuple)):
        items = [list(item) if isinstance(item, (list, tuple)) else item for item in value]
        if len(items) == 2 and items[0] == items[1] and not isinstance(items[0], list):
            return items[0]
        return items
    return value


def describe(name: str) -> dict[str, Any]:
    """Return the layers that all variants of an architecture share, and the layers at the end of each variant."""
    _, size = APPLICATIONS[name]
    variants = {
        key: list_records(build(name, size, include_top=False, **extra)) for key, extra in EXTRA.items()
    }
    variants["top"] = list_records(build(name, size, include_top=True, classes=CLASSES))
    if name.startswith(("EfficientNetB", "NASNet")):
        sizes = (256, 257, 259)  # together, odd and even sizes before each padding
        others = [list_records(build(name, each, include_top=False)) for each in sizes]
        for number, record in enumerate(variants["none"]):
            paddings = [other[number][1].get("padding") for other in (*others, variants["none"])]
            if record[0] == "ZeroPadding2D" and any(each != paddings[0] for each in paddings):
                largest = max(max(each[0]) for each in map(expand_padding, paddings))
                for variant in variants.values():
                    variant[number] = ["ZeroPadding2D", {"correct_pad": 2 * largest + 1}, record[2]]
    shared = 0
    while all(shared < len(each) and each[shared] == variants["top"][shared] for each in variants.values()):
        shared += 1
    return {
        "layers": variants["top"][:shared],
        "heads": {key: records[shared:] for key, records in variants.items()},
    }


def expand_padding(padding: Any) -> Any:
    return [[1, 1]] if padding is None else [[padding, padding]] if isinstance(padding, int) else padding


def main() -> None:
    """Write the file, with only some architectures described again if they are named."""
    known = json.loads(gzip.decompress(FILE.read_bytes())) if FILE.exists() else {}
    names = sys.argv[1:] or [name for name in APPLICATIONS if not name.startswith("MobileNet")]
    for name in names:
        known[name] = describe(name)
        print(
            name, len(known[name]["layers"]), {k: len(v) for k, v in known[name]["heads"].items()}, flush=True
        )
    text = json.dumps({name: known[name] for name in sorted(known)}, separators=(",", ":"))
    FILE.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
