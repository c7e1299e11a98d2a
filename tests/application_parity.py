"""Compare static facts of Keras's pretrained models with Keras.

python -m tests.application_parity [NAME ...]    writes one line for each; exit code 1 if any differs
"""

import math
import sys
from typing import Any

import keras

from layercli.layers.registry import LAYERS
from layercli.layers.shapes import Tensor
from tests.stateless import unallocated_weights

Facts = tuple[tuple[int | None, ...], list[tuple[tuple[int, ...], bool]], int]
"""Output shape, shape and trainability of each weight, and multiply-adds."""


def count_multiply_adds(model: Any) -> int:
    """Return the multiply-adds of convolutions and dense layers from Keras's kernels and output shapes."""
    total = 0
    for operation in model.operations:
        kind = type(operation).__name__
        if isinstance(operation, keras.Model):
            total += count_multiply_adds(operation._functional if kind == "Sequential" else operation)
        elif kind in ("Conv2D", "DepthwiseConv2D", "Dense"):
            total += math.prod(operation.output.shape[1:-1]) * math.prod(operation.kernel.shape)
        elif kind == "SeparableConv2D":
            rows, columns = operation.output.shape[1:3]
            kernels = (operation.depthwise_kernel, operation.pointwise_kernel)
            total += rows * columns * sum(math.prod(kernel.shape) for kernel in kernels)
    return total


def facts_of_keras(name: str, shape: tuple[int, int, int], **arguments: Any) -> Facts:
    with unallocated_weights():
        model = getattr(keras.applications, name)(weights=None, input_shape=shape, **arguments)
        weights = [(tuple(w.shape), True) for w in model.trainable_weights]
        weights += [(tuple(w.shape), False) for w in model.non_trainable_weights]
        return tuple(model.output_shape), sorted(weights), count_multiply_adds(model)


def static_facts(name: str, shape: tuple[int, int, int], **arguments: Any) -> Facts:
    layer = LAYERS.load(name).model_validate({"weights": None, **arguments})
    inferred = layer.infer((Tensor((None, *shape)),))
    weights = sorted((weight.shape, weight.trainable) for weight in inferred.weights)
    assert inferred.multiply_adds is not None
    return inferred.outputs[0].shape, weights, inferred.multiply_adds


def list_cases(name: str) -> list[tuple[tuple[int, int, int], dict[str, Any]]]:
    """Return sizes and arguments: the default, the smallest and an odd size, each head and each other argument."""
    layer = LAYERS.load(name)
    size, smallest = layer.default_size, layer.min_size
    cases: list[tuple[tuple[int, int, int], dict[str, Any]]] = [
        ((size, size, 3), {}),
        ((smallest, smallest, 3), {"include_top": False, "pooling": "max"}),
        ((smallest + 45, smallest + 70, 3), {"include_top": False}),
        ((101, 97, 3), {"include_top": True, "classes": 7, "classifier_activation": None}),
        ((size, size + 1, 3), {"include_top": False, "pooling": "avg"}),
    ]
    known = layer.model_fields
    if "alpha" in known:
        cases += [((96, 96, 3), {"alpha": alpha, "classes": 3}) for alpha in (0.25, 0.35, 0.75, 1.3, 1.4, 2)]
    if "minimalistic" in known:
        cases += [((65, 66, 3), {"minimalistic": True, "alpha": 1.5, "classes": 3})]
    if "depth_multiplier" in known:
        cases += [((64, 64, 3), {"depth_multiplier": 2, "alpha": 0.5, "include_top": False})]
    if "include_preprocessing" in known and "include_preprocessing" not in layer.layer_arguments:
        cases += [((64, 64, 1), {"include_preprocessing": False, "include_top": False})]
    return cases


def main() -> int:
    names = sys.argv[1:] or [name for name, module in LAYERS.modules.items() if module == "applications"]
    failed = []
    print(f"{'architecture':<20}{'parameters':>14}{'GFLOPs':>9}{'cases':>7}  differences", flush=True)
    for name in names:
        differences = []
        for shape, arguments in list_cases(name):
            ours, theirs = static_facts(name, shape, **arguments), facts_of_keras(name, shape, **arguments)
            labels = ("output", "weights", "cost")
            differences += [
                f"{label} {shape} {arguments}"
                for label, a, b in zip(labels, ours, theirs, strict=True)
                if a != b
            ]
            if not arguments:
                parameters = sum(math.prod(shape) for shape, _ in theirs[1])
                flops = 2 * theirs[2] / 1e9
        failed += [name] if differences else []
        print(
            f"{name:<20}{parameters:>14,}{flops:>9.2f}{len(list_cases(name)):>7}  {'; '.join(differences) or 'none'}",
            flush=True,
        )
    print(f"{len(names) - len(failed)} of {len(names)} are equal")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
