"""The layers of MobileNet, whose widths depend on arguments."""

from collections.abc import Iterator
from typing import Any, Final

from layercli.layers.applications.architectures import Head, Record

_SE_RATIO: Final = 0.25

_BLOCKS_V1: Final = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1),) * 5,
    *((1024, 2), (1024, 1)),
)
"""Filters and strides of MobileNet's blocks."""

_BLOCKS_V2: Final = (
    *((16, 1), (24, 2), (24, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1), (64, 1), (64, 1)),
    *((96, 1), (96, 1), (96, 1), (160, 2), (160, 1), (160, 1), (320, 1)),
)
"""Filters and strides of MobileNetV2's blocks."""

_BLOCKS_V3: Final = {
    "MobileNetV3Small": (
        *((1, 16, 3, 2, True), (72 / 16, 24, 3, 2, False), (88 / 24, 24, 3, 1, False), (4, 40, 5, 2, True)),
        *((6, 40, 5, 1, True), (6, 40, 5, 1, True), (3, 48, 5, 1, True), (3, 48, 5, 1, True)),
        *((6, 96, 5, 2, True), (6, 96, 5, 1, True), (6, 96, 5, 1, True)),
    ),
    "MobileNetV3Large": (
        *((1, 16, 3, 1, False), (4, 24, 3, 2, False), (3, 24, 3, 1, False), (3, 40, 5, 2, True)),
        *((3, 40, 5, 1, True), (3, 40, 5, 1, True), (6, 80, 3, 2, False), (2.5, 80, 3, 1, False)),
        *((2.3, 80, 3, 1, False), (2.3, 80, 3, 1, False), (6, 112, 3, 1, True), (6, 112, 3, 1, True)),
        *((6, 160, 5, 2, True), (6, 160, 5, 1, True), (6, 160, 5, 1, True)),
    ),
}
"""Expansion, filters, kernel size, strides and squeeze-and-excitation of MobileNetV3's blocks."""

_LAST_FILTERS_V3: Final = {"MobileNetV3Small": 1024, "MobileNetV3Large": 1280}


def list_mobilenet(head: Head, alpha: float, depth_multiplier: int) -> Iterator[Record]:
    """Yield the layers of MobileNet."""
    yield from _convolve(int(32 * alpha), kernel_size=3, strides=2, padding="same")
    for filters, strides in _BLOCKS_V1:
        if strides == 2:
            yield "ZeroPadding2D", {"padding": [[0, 1], [0, 1]]}, [1]
        yield from _convolve_depthwise(3, strides, depth_multiplier=depth_multiplier)
        yield from _convolve(int(filters * alpha), kernel_size=1, padding="same")
    if head.include_top:
        yield "GlobalAveragePooling2D", {"keepdims": True}, [1]
        yield "Conv2D", {"filters": "classes", "kernel_size": 1, "padding": "same"}, [1]
        yield "Reshape", {"target_shape": ["classes"]}, [1]
    yield from _pool(head)


def list_mobilenet_v2(head: Head, alpha: float) -> Iterator[Record]:
    """Yield the layers of MobileNetV2."""
    channels = _round_width(32 * alpha)
    yield from _convolve(channels, kernel_size=3, strides=2, padding="same")
    for number, (base, strides) in enumerate(_BLOCKS_V2):
        filters = _round_width(int(base * alpha))
        count = 4
        if number:
            yield from _convolve(6 * channels, kernel_size=1, padding="same")
            count += 2
        if strides == 2:
            yield "ZeroPadding2D", {"correct_pad": 3}, [1]
        yield from _convolve_depthwise(3, strides)
        yield from _convolve(filters, kernel_size=1, padding="same")
        if strides == 1 and channels == filters:
            yield "Add", {}, [count + 1, 1]
        channels = filters
    yield from _convolve(_round_width(1280 * alpha) if alpha > 1 else 1280, kernel_size=1)
    if head.include_top:
        yield "GlobalAveragePooling2D", {}, [1]
        yield "Dense", {"units": "classes"}, [1]
    yield from _pool(head)


def list_mobilenet_v3(name: str, head: Head, alpha: float, *, minimalistic: bool) -> Iterator[Record]:
    """Yield the layers of MobileNetV3Small or MobileNetV3Large."""
    channels = 16
    yield from _convolve(channels, kernel_size=3, strides=2, padding="same")
    for number, (expansion, base, kernel_size, strides, has_excitation) in enumerate(_BLOCKS_V3[name]):
        filters = _round_width(base * alpha)
        inner = _round_width(channels * expansion)
        kernel = 3 if minimalistic else kernel_size
        count = 4
        if number:
            yield from _convolve(inner, kernel_size=1, padding="same")
            count += 2
        if strides == 2:
            yield "ZeroPadding2D", {"correct_pad": kernel}, [1]
        yield from _convolve_depthwise(kernel, strides)
        if has_excitation and not minimalistic:
            yield "GlobalAveragePooling2D", {"keepdims": True}, [1]
            yield (
                "Conv2D",
                {"filters": _round_width(inner * _SE_RATIO), "kernel_size": 1, "padding": "same"},
                [1],
            )
            yield "Conv2D", {"filters": inner, "kernel_size": 1, "padding": "same"}, [1]
            yield "Multiply", {}, [4, 1]
            count += 4
        yield from _convolve(filters, kernel_size=1, padding="same")
        if strides == 1 and channels == filters:
            yield "Add", {}, [count + 1, 1]
        channels = filters
    yield from _convolve(_round_width(channels * 6), kernel_size=1, padding="same")
    if head.include_top:
        last = _LAST_FILTERS_V3[name]
        yield "GlobalAveragePooling2D", {"keepdims": True}, [1]
        yield (
            "Conv2D",
            {
                "filters": _round_width(last * alpha) if alpha > 1 else last,
                "kernel_size": 1,
                "padding": "same",
            },
            [1],
        )
        yield "Conv2D", {"filters": "classes", "kernel_size": 1, "padding": "same"}, [1]
        yield "Flatten", {}, [1]
    yield from _pool(head)


def _convolve(filters: int, **arguments: Any) -> Iterator[Record]:
    yield "Conv2D", {"filters": filters, "use_bias": False, **arguments}, [1]
    yield "BatchNormalization", {}, [1]


def _convolve_depthwise(kernel_size: int, strides: int, **arguments: Any) -> Iterator[Record]:
    padding = "same" if strides == 1 else "valid"
    settings = {"kernel_size": kernel_size, "strides": strides, "padding": padding, "use_bias": False}
    yield "DepthwiseConv2D", settings | arguments, [1]
    yield "BatchNormalization", {}, [1]


def _pool(head: Head) -> Iterator[Record]:
    if not head.include_top and head.pooling is not None:
        yield {"avg": "GlobalAveragePooling2D", "max": "GlobalMaxPooling2D"}[head.pooling], {}, [1]


def _round_width(value: float) -> int:
    """Return the closest multiple of 8 that is at most 10% smaller."""
    width = max(8, int(value + 4) // 8 * 8)
    return width + 8 if width < 0.9 * value else width
