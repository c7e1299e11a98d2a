"""Keras's pretrained models: ``keras.applications``."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from layercli.layers.applications.architectures import (
    Head,
    Record,
    TracedLayer,
    infer_architecture,
    read_architecture,
    trace_architecture,
)
from layercli.layers.applications.mobilenets import list_mobilenet, list_mobilenet_v2, list_mobilenet_v3
from layercli.layers.arguments import ActivationName
from layercli.layers.base import InferredLayer, Layer
from layercli.layers.shapes import ShapeError, Tensor, format_shape
from layercli.schema.addresses import require_local_weights
from layercli.schema.field_types import PositiveInt
from layercli.schema.strict_model import ArgumentError
from layercli.schema.suggestions import suggest_closest
from layercli.source.nodes import quote_value

IMAGENET: Final = "imagenet"
WEIGHT_SUFFIXES: Final = (".h5", ".hdf5")
_IMAGENET_CLASSES: Final = 1000

Alpha = Annotated[
    float, Field(gt=0, le=100, description="Factor of the number of filters in each layer.", examples=[0.5])
]
Rate = Annotated[float, Field(ge=0, lt=1, description="Fraction of values that the last Dropout sets to 0.")]


class Application(Layer):
    """A model of ``keras.applications`` as one layer, with the preprocessing of its input."""

    family: ClassVar[str] = "applications"
    input_description: ClassVar[str] = "images of shape (batch, height, width, channels)"
    rank_range: ClassVar[tuple[int, int | None]] = (4, 4)
    can_be_nested: ClassVar[bool] = False
    dtype: ClassVar[None] = None  # type: ignore[misc]  # Keras's functions do not have it

    preprocessing_mode: ClassVar[str | None] = None
    """The mode of Keras's ``preprocess_input`` that values from 0 to 255 need; None if the model itself has it."""
    min_size: ClassVar[int] = 32
    """Smallest height and width."""
    default_size: ClassVar[int] = 224
    """Height and width of the images of the pretrained model."""
    layer_arguments: ClassVar[frozenset[str]] = frozenset({"trainable"})
    """Arguments that Keras's function does not have."""

    include_top: Annotated[bool, Field(description="Whether the model ends in its classifier.")] = True
    weights: Annotated[
        str | None,
        Field(
            min_length=1,
            description="imagenet: Keras's pretrained weights; a file with weights of this model, relative to the config; "
            "null: random weights.",
            examples=[IMAGENET],
        ),
    ] = IMAGENET  # type: ignore[assignment]  # Keras's name; `infer` does not call the method
    pooling: Annotated[
        Literal["avg", "max"] | None,
        Field(description="Pooling of the last feature map without the classifier; null: none."),
    ] = None
    classes: Annotated[
        PositiveInt, Field(description="Number of classes of the classifier.", examples=[10])
    ] = _IMAGENET_CLASSES
    classifier_activation: Annotated[
        ActivationName | None, Field(description="Activation of the classifier; null: logits.")
    ] = "softmax"
    trainable: Annotated[bool, Field(description="Whether training changes the weights.")] = True

    @property
    def head(self) -> Head:
        """The end of the model."""
        return Head(self.include_top, self.pooling, self.classes)

    @property
    def has_preprocessing(self) -> bool:
        """Whether the model takes values from 0 to 255."""
        return bool(getattr(self, "include_preprocessing", True))

    @property
    def weights_file(self) -> str | None:
        """The file with weights that the config names, relative to the config."""
        return None if self.weights in (None, IMAGENET) else str(self.weights)

    def keras_arguments(self) -> dict[str, Any]:
        return {key: value for key, value in self.arguments().items() if key not in self.layer_arguments}

    def check(self) -> None:
        if self.weights_file is not None:
            require_local_weights(self.weights_file)
        if self.weights not in (None, IMAGENET) and not str(self.weights).endswith(WEIGHT_SUFFIXES):
            message = f"`weights` must be imagenet, null, or a .h5 file, got {quote_value(self.weights)}."
            closest = suggest_closest(str(self.weights), {IMAGENET: IMAGENET})
            hint = (
                "Write `weights: imagenet`, `weights: null`, or the path of a file that `save_weights` wrote."
            )
            raise ArgumentError("weights", message, closest or hint)
        if not self.include_top:
            return
        if self.weights == IMAGENET and self.classes != _IMAGENET_CLASSES:
            message = f"`classes` must be 1000 with `include_top: true` and `weights: imagenet`, got {self.classes}."
            hint = "Write `include_top: false` and add a Dense layer with your number of classes."
            raise ArgumentError("classes", message, hint)
        if self.weights is not None and self.classifier_activation not in ("softmax", "linear", None):
            message = (
                "`classifier_activation` must be softmax or null with pretrained weights, "
                f"got {self.classifier_activation}."
            )
            raise ArgumentError("classifier_activation", message, "Write `classifier_activation: softmax`.")

    @property
    def traced_layer_count(self) -> int:
        return sum(1 for _ in self.list_records())

    def list_records(self) -> Iterator[Record]:
        """Yield the layers of the architecture."""
        yield from read_architecture(self.type_name(), self.head)

    def infer(self, inputs: tuple[Tensor, ...]) -> InferredLayer:
        x = self.require_one_input(inputs)
        self._check_input(x)
        return infer_architecture(list(self.list_records()), x, self.head)

    def trace_layers(self, x: Tensor) -> Iterator[TracedLayer]:
        """Yield the layers of the architecture with their shapes for an input that ``infer`` accepts."""
        yield from trace_architecture(list(self.list_records()), self.cast(x), self.head)

    def _check_input(self, x: Tensor) -> None:
        """Check the size and channels of an input by Keras's rules.

        Raises:
            ShapeError: Keras does not accept it.
        """
        sizes, channels = x.shape[1:3], x.shape[3]
        if any(size is not None and size < self.min_size for size in sizes):
            message = (
                f"{self.title()} needs images of at least {self.min_size}x{self.min_size}, "
                f"got {format_shape(x.shape)}."
            )
            raise ShapeError(message, hint="Use larger images, or a Resizing layer before it.")
        if channels is None:
            raise ShapeError(
                f"{self.title()} needs the number of channels of its input, got {format_shape(x.shape)}.",
                hint="Declare it in `model.input`, such as [224, 224, 3].",
            )
        if channels != 3 and self.weights == IMAGENET:
            message = (
                f"{self.title()} with `weights: imagenet` needs 3 channels, got {format_shape(x.shape)}."
            )
            hint = "Use color images (`channels: 3` of image data), or `weights: null`."
            raise ShapeError(message, hint=hint, argument="weights")
        if channels != 3 and self.has_preprocessing and self.preprocessing_mode in ("caffe", "torch"):
            message = f"The preprocessing of {self.title()} needs 3 channels, got {format_shape(x.shape)}."
            hint = "Use color images, or `include_preprocessing: false`."
            raise ShapeError(message, hint=hint)
        if None in sizes and self.include_top:
            raise ShapeError(
                f"{self.title()} with `include_top: true` needs the size of its images, got {format_shape(x.shape)}.",
                hint="Declare it in `model.input`, such as [224, 224, 3].",
                argument="include_top",
            )
        if self.include_top and self.weights == IMAGENET and sizes not in self._list_pretrained_sizes():
            default = self.default_size
            message = (
                f"{self.title()} with `include_top: true` and `weights: imagenet` needs images of "
                f"{default}x{default}, got {format_shape(x.shape)}."
            )
            hint = "Write `include_top: false`, or use images of that size."
            raise ShapeError(message, hint=hint, argument="include_top")

    def _list_pretrained_sizes(self) -> list[tuple[int, ...]]:
        """Return the sizes that the pretrained classifier accepts."""
        return [(self.default_size,) * 2]


class _WithPreprocessing(Application):
    """A model whose preprocessing can be left out."""

    include_preprocessing: Annotated[
        bool,
        Field(
            description="Whether the model takes values from 0 to 255; false: values are preprocessed already."
        ),
    ] = True


class _WithoutOwnPreprocessing(_WithPreprocessing):
    """A model that needs Keras's ``preprocess_input``, which becomes part of the layer."""

    layer_arguments: ClassVar[frozenset[str]] = frozenset({"trainable", "include_preprocessing"})


class _Caffe(_WithoutOwnPreprocessing):
    preprocessing_mode: ClassVar[str | None] = "caffe"


class _Torch(_WithoutOwnPreprocessing):
    preprocessing_mode: ClassVar[str | None] = "torch"


class _Scaled(_WithoutOwnPreprocessing):
    preprocessing_mode: ClassVar[str | None] = "tf"


class _Inception(_Scaled):
    min_size: ClassVar[int] = 75


class _Xception(_Scaled):
    min_size: ClassVar[int] = 71


class _NASNet(_Scaled):
    def _check_input(self, x: Tensor) -> None:
        super()._check_input(x)
        if None in x.shape[1:3]:
            raise ShapeError(
                f"{self.title()} needs the size of its images, got {format_shape(x.shape)}.",
                hint="Declare it in `model.input`, such as [224, 224, 3].",
            )


class _MobileNet(_Scaled):
    pretrained_alphas: ClassVar[tuple[float, ...]]
    pretrained_sizes: ClassVar[tuple[int, ...]] = (128, 160, 192, 224)

    alpha: Alpha = 1.0

    def check(self) -> None:
        super().check()
        _check_alpha(self.alpha, self.weights, self.pretrained_alphas)

    def _list_pretrained_sizes(self) -> list[tuple[int, ...]]:
        return [(size, size) for size in self.pretrained_sizes]


class _MobileNetV1(_MobileNet):
    pretrained_alphas: ClassVar[tuple[float, ...]] = (0.25, 0.5, 0.75, 1.0)

    depth_multiplier: Annotated[
        PositiveInt, Field(description="Number of outputs of each channel in depthwise convolutions.")
    ] = 1
    dropout: Rate = 0.001

    def check(self) -> None:
        super().check()
        if self.weights == IMAGENET and self.depth_multiplier != 1:
            message = f"`depth_multiplier` must be 1 with `weights: imagenet`, got {self.depth_multiplier}."
            raise ArgumentError(
                "depth_multiplier", message, "Remove `depth_multiplier`, or write `weights: null`."
            )

    def list_records(self) -> Iterator[Record]:
        return list_mobilenet(self.head, self.alpha, self.depth_multiplier)


class _MobileNetV2(_MobileNet):
    pretrained_alphas: ClassVar[tuple[float, ...]] = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
    pretrained_sizes: ClassVar[tuple[int, ...]] = (96, 128, 160, 192, 224)

    def list_records(self) -> Iterator[Record]:
        return list_mobilenet_v2(self.head, self.alpha)


class _MobileNetV3(_WithPreprocessing):
    alpha: Alpha = 1.0
    minimalistic: Annotated[
        bool,
        Field(
            description="Whether the model has neither squeeze-and-excitation, hard_swish nor 5x5 kernels."
        ),
    ] = False
    dropout_rate: Rate = 0.2

    def check(self) -> None:
        super().check()
        _check_alpha(self.alpha, self.weights, (1.0,) if self.minimalistic else (0.75, 1.0))

    def list_records(self) -> Iterator[Record]:
        return list_mobilenet_v3(self.type_name(), self.head, self.alpha, minimalistic=self.minimalistic)

    def _check_input(self, x: Tensor) -> None:
        # Keras's own function accepts any size with pretrained weights and the classifier.
        self.with_arguments(include_top=False)._check_common(x)

    def _check_common(self, x: Tensor) -> None:
        super()._check_input(x)


def _check_alpha(alpha: float, weights: str | None, known: tuple[float, ...]) -> None:
    if weights == IMAGENET and alpha not in known:
        message = f"`alpha` must be {' or '.join(map(str, known))} with `weights: imagenet`, got {alpha}."
        raise ArgumentError("alpha", message, "Write one of these values, or `weights: null`.")


APPLICATIONS: Final[dict[str, tuple[type[Application], int]]] = {
    **{f"ConvNeXt{size}": (_WithPreprocessing, 224) for size in ("Tiny", "Small", "Base", "Large", "XLarge")},
    **{f"DenseNet{depth}": (_Torch, 224) for depth in (121, 169, 201)},
    **{f"EfficientNetB{i}": (Application, n) for i, n in enumerate((224, 240, 260, 300, 380, 456, 528, 600))},
    **{
        f"EfficientNetV2{key}": (_WithPreprocessing, size)
        for key, size in {"B0": 224, "B1": 240, "B2": 260, "B3": 300, "S": 384, "M": 480, "L": 480}.items()
    },
    "InceptionResNetV2": (_Inception, 299),
    "InceptionV3": (_Inception, 299),
    "MobileNet": (_MobileNetV1, 224),
    "MobileNetV2": (_MobileNetV2, 224),
    "MobileNetV3Large": (_MobileNetV3, 224),
    "MobileNetV3Small": (_MobileNetV3, 224),
    "NASNetLarge": (_NASNet, 331),
    "NASNetMobile": (_NASNet, 224),
    **{f"ResNet{depth}": (_Caffe, 224) for depth in (50, 101, 152)},
    **{f"ResNet{depth}V2": (_Scaled, 224) for depth in (50, 101, 152)},
    "VGG16": (_Caffe, 224),
    "VGG19": (_Caffe, 224),
    "Xception": (_Xception, 299),
}
"""Every model of ``keras.applications`` -> its arguments and rules, and the size of its images."""


def _make_class(name: str) -> type[Application]:
    """Return the class of a model."""
    base, size = APPLICATIONS[name]
    doc = f"""The {name} model, trained on ImageNet; the preprocessing of its input is inside it.

    Input: (batch, height, width, channels), values from 0 to 255. Output: (batch, classes), without the classifier
    (batch, height, width, channels), and with ``pooling`` (batch, channels).

    Example:
        {{type: {name}, include_top: false, weights: imagenet, pooling: avg}}
    """
    return type(name, (base,), {"__doc__": doc, "__module__": __name__, "default_size": size})


globals().update({name: _make_class(name) for name in APPLICATIONS})
