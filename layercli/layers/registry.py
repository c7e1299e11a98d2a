"""Every layer type by Keras's class name, with the module that describes it."""

from typing import TYPE_CHECKING, Final

from layercli.schema.component import Catalogue

if TYPE_CHECKING:
    from layercli.layers.base import Layer

_LAYER_MODULES = {
    "core": """
        Dense Embedding EinsumDense ReversibleEmbedding Identity Masking
    """,
    "activations": """
        Activation ReLU LeakyReLU PReLU ELU Softmax
    """,
    "convolutional": """
        Conv1D Conv2D Conv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose DepthwiseConv1D
        DepthwiseConv2D SeparableConv1D SeparableConv2D
    """,
    "pooling": """
        MaxPooling1D MaxPooling2D MaxPooling3D AveragePooling1D AveragePooling2D
        AveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D
        GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
        AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
        AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D
    """,
    "recurrent": """
        LSTM GRU SimpleRNN RNN LSTMCell GRUCell SimpleRNNCell StackedRNNCells
    """,
    "conv_recurrent": """
        ConvLSTM1D ConvLSTM2D ConvLSTM3D
    """,
    "wrappers": """
        Bidirectional TimeDistributed SpectralNormalization
    """,
    "normalization": """
        BatchNormalization LayerNormalization GroupNormalization RMSNormalization
        UnitNormalization
    """,
    "regularization": """
        Dropout SpatialDropout1D SpatialDropout2D SpatialDropout3D AlphaDropout
        GaussianDropout GaussianNoise ActivityRegularization
    """,
    "reshaping": """
        Flatten Reshape Permute RepeatVector ZeroPadding1D ZeroPadding2D ZeroPadding3D
        Cropping1D Cropping2D Cropping3D UpSampling1D UpSampling2D UpSampling3D
    """,
    "merging": """
        Add Average Concatenate Dot Maximum Minimum Multiply Subtract
    """,
    "attention": """
        Attention AdditiveAttention MultiHeadAttention GroupQueryAttention
    """,
    "preprocessing": """
        Rescaling Normalization Resizing CenterCrop Discretization CategoryEncoding Hashing
        HashedCrossing
    """,
    "lookup": """
        IntegerLookup StringLookup TextVectorization
    """,
    "spectrograms": """
        MelSpectrogram STFTSpectrogram
    """,
    "augmentation": """
        AugMix CutMix MaxNumBoundingBoxes MixUp Pipeline RandAugment RandomCrop
        RandomElasticTransform RandomErasing RandomFlip RandomPerspective RandomRotation
        RandomShear RandomTranslation RandomZoom
    """,
    "color_augmentation": """
        AutoContrast ContrastLimitedAdaptiveHistogramEqualization Equalization
        RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast
        RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPosterization
        RandomSaturation RandomSharpness Solarization
    """,
    "applications": """
        ConvNeXtTiny ConvNeXtSmall ConvNeXtBase ConvNeXtLarge ConvNeXtXLarge DenseNet121
        DenseNet169 DenseNet201 EfficientNetB0 EfficientNetB1 EfficientNetB2 EfficientNetB3
        EfficientNetB4 EfficientNetB5 EfficientNetB6 EfficientNetB7 EfficientNetV2B0
        EfficientNetV2B1 EfficientNetV2B2 EfficientNetV2B3 EfficientNetV2L EfficientNetV2M
        EfficientNetV2S InceptionResNetV2 InceptionV3 MobileNet MobileNetV2 MobileNetV3Large
        MobileNetV3Small NASNetLarge NASNetMobile ResNet101 ResNet101V2 ResNet152 ResNet152V2
        ResNet50 ResNet50V2 VGG16 VGG19 Xception
    """,
}

_CUSTOM_LAYER_HINT = "Write a custom layer class and name it as `type: my_layers.py:MyLayer`."
_INPUT_LAYER_REASON = (
    "declare the input as `model.input`",
    "Write `model: {input: [28, 28, 1], layers: [...]}`.",
)

LAYERS: "Final[Catalogue[Layer]]" = Catalogue(
    noun="layer",
    package="layercli.layers.families",
    modules={name: module for module, names in _LAYER_MODULES.items() for name in names.split()},
    aliases={
        "AvgPool1D": "AveragePooling1D",
        "AvgPool2D": "AveragePooling2D",
        "AvgPool3D": "AveragePooling3D",
        "MaxPool1D": "MaxPooling1D",
        "MaxPool2D": "MaxPooling2D",
        "MaxPool3D": "MaxPooling3D",
        "GlobalAvgPool1D": "GlobalAveragePooling1D",
        "GlobalAvgPool2D": "GlobalAveragePooling2D",
        "GlobalAvgPool3D": "GlobalAveragePooling3D",
        "GlobalMaxPool1D": "GlobalMaxPooling1D",
        "GlobalMaxPool2D": "GlobalMaxPooling2D",
        "GlobalMaxPool3D": "GlobalMaxPooling3D",
        "Convolution1D": "Conv1D",
        "Convolution2D": "Conv2D",
        "Convolution3D": "Conv3D",
        "Convolution1DTranspose": "Conv1DTranspose",
        "Convolution2DTranspose": "Conv2DTranspose",
        "Convolution3DTranspose": "Conv3DTranspose",
        "SeparableConvolution1D": "SeparableConv1D",
        "SeparableConvolution2D": "SeparableConv2D",
        "BatchNorm": "BatchNormalization",
        "LayerNorm": "LayerNormalization",
    },
    unavailable={
        "Lambda": ("it carries code", _CUSTOM_LAYER_HINT),
        "TFSMLayer": ("it runs a SavedModel's code", _CUSTOM_LAYER_HINT),
        "JaxLayer": ("it runs another framework's code", _CUSTOM_LAYER_HINT),
        "FlaxLayer": ("it runs another framework's code", _CUSTOM_LAYER_HINT),
        "TorchModuleWrapper": ("it runs another framework's code", _CUSTOM_LAYER_HINT),
        "Layer": ("it is the base class of layers, not a layer", _CUSTOM_LAYER_HINT),
        "Wrapper": ("it is the base class of wrappers, not a layer", "Use TimeDistributed or Bidirectional."),
        "InputLayer": _INPUT_LAYER_REASON,
        "Input": _INPUT_LAYER_REASON,
    },
)
