"""Every activation, initializer, regularizer and constraint by Keras's name."""

from typing import Final

from layercli.schema.component import Catalogue, Component

ACTIVATIONS: Final = (
    "celu",
    "elu",
    "exponential",
    "gelu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
)

UNUSABLE_ACTIVATIONS: Final = {
    "glu": "it halves the last axis, but Keras's layers declare that it keeps the axis",
    "threshold": "it requires arguments, but Keras's layers pass none",
}
"""Functions of ``keras.activations`` with which a layer fails or has another shape than Keras declares."""

INITIALIZERS: Final = Catalogue[Component](
    noun="initializer",
    package="layercli.layers.objects",
    modules=dict.fromkeys(
        [
            "GlorotUniform",
            "GlorotNormal",
            "HeUniform",
            "HeNormal",
            "LecunUniform",
            "LecunNormal",
            "Zeros",
            "Ones",
            "Constant",
            "RandomNormal",
            "RandomUniform",
            "TruncatedNormal",
            "VarianceScaling",
            "Orthogonal",
            "Identity",
            "STFT",
        ],
        "initializers",
    ),
    not_by_name=("Constant",),
    aliases={
        "uniform": "RandomUniform",
        "normal": "RandomNormal",
        "zero": "Zeros",
        "one": "Ones",
        "IdentityInitializer": "Identity",
        "OrthogonalInitializer": "Orthogonal",
        "STFTInitializer": "STFT",
    },
)

REGULARIZERS: Final = Catalogue[Component](
    noun="regularizer",
    package="layercli.layers.objects",
    modules=dict.fromkeys(("L1", "L2", "L1L2", "OrthogonalRegularizer"), "regularizers"),
    not_by_name=("L1L2",),
)

CONSTRAINTS: Final = Catalogue[Component](
    noun="constraint",
    package="layercli.layers.objects",
    modules=dict.fromkeys(("MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"), "constraints"),
)
