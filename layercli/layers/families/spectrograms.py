"""Keras's spectrogram layers for sound."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from layercli.layers.arguments import DataFormat, ExactPadding, WindowFunction
from layercli.layers.base import StandardLayer, Weight, require_nonempty
from layercli.layers.dtypes import FLOATS
from layercli.layers.shapes import RankError, Shape, ShapeError, Tensor, window_length
from layercli.schema.field_types import PositiveInt
from layercli.schema.strict_model import ArgumentError


class _SpectrogramLayer(StandardLayer):
    family: ClassVar[str] = "preprocessing"


class MelSpectrogram(_SpectrogramLayer):
    """The loudness of sound, by time and by pitch as people hear it.

    Input: (batch, samples). Output: (batch, num_mel_bins, frames).

    Example:
        {type: MelSpectrogram, num_mel_bins: 64}
    """

    input_description: ClassVar[str] = "sound of shape (batch, samples), rank 2"
    rank_range: ClassVar[tuple[int, int | None]] = (2, 2)
    compute_dtypes: ClassVar[frozenset[str]] = FLOATS - {"float64"}

    fft_length: Annotated[int, Field(gt=0, le=65_536, description="Length of the Fourier transform.")] = 2048
    sequence_stride: Annotated[PositiveInt, Field(description="Samples from one frame to the next.")] = 512
    sequence_length: Annotated[
        PositiveInt | None, Field(description="Samples in a frame, up to `fft_length`; null: as many.")
    ] = None
    window: Annotated[Literal["hann", "hamming"] | None, Field(description="Window on each frame.")] = "hann"
    sampling_rate: Annotated[PositiveInt, Field(description="Samples in a second.")] = 16000
    num_mel_bins: Annotated[int, Field(gt=0, le=4096, description="Number of pitches.")] = 128
    min_freq: Annotated[float, Field(ge=0, description="Lowest frequency, in hertz.")] = 20.0
    max_freq: Annotated[
        float | None, Field(gt=0, description="Highest frequency, in hertz; null: half of `sampling_rate`.")
    ] = None
    power_to_db: Annotated[bool, Field(description="Whether loudness is in decibels.")] = True
    top_db: Annotated[float, Field(description="Decibels below the loudest that are kept.")] = 80.0
    mag_exp: Annotated[float, Field(description="Exponent of the magnitude: 1 energy, 2 power.")] = 2.0
    min_power: Annotated[float, Field(description="Smallest power before decibels.")] = 1e-10
    ref_power: Annotated[float, Field(description="The power that is 0 decibels.")] = 1.0

    def check(self) -> None:
        if self.sequence_length is not None and self.sequence_length > self.fft_length:
            message = f"`sequence_length` must be at most `fft_length` ({self.fft_length}), got {self.sequence_length}."
            raise ArgumentError("sequence_length", message, "Increase `fft_length` to a power of 2.")
        if self.max_freq is None and self.sampling_rate == 1:  # Keras divides it as integers
            message = "`sampling_rate` must be at least 2, since half of it is the highest frequency, got 1."
            raise ArgumentError("sampling_rate", message, "For example `sampling_rate: 16000`.")

    def check_rank(self, shape: Shape) -> None:
        try:
            super().check_rank(shape)
        except RankError as error:  # Keras declares another shape for more axes than the one that it returns
            hint = "Put it into TimeDistributed: `{type: TimeDistributed, layer: {type: MelSpectrogram}}`."
            raise RankError(str(error), hint=hint if len(shape) > 2 else None) from None

    def output(self, x: Tensor) -> Tensor:
        batch, samples = x.shape
        padding, length = self.fft_length // 2, samples
        if length is not None and length <= padding:  # Keras mirrors the sound at both ends
            raise ShapeError(
                f"`fft_length` of MelSpectrogram must be at most {max(2 * length - 1, 0)} for {length} samples, "
                f"since half of it is mirrored at both ends, got {self.fft_length}.",
                hint="Decrease `fft_length`, or use longer sounds.",
                argument="fft_length",
            )
        stride = self.sequence_stride
        if samples is not None and (samples + 1) % stride == 0:
            raise ShapeError(
                f"MelSpectrogram cannot have {samples} samples with `sequence_stride` {stride}: Keras declares one frame "
                "too many for a multiple of `sequence_stride` less 1.",
                hint=f"Use {samples + 1} samples, or a different `sequence_stride` of at least 2.",
                argument="sequence_stride",
            )
        frames = None if samples is None else (samples + stride + 1) // stride
        return Tensor((batch, self.num_mel_bins, frames), self.compute_dtype)


class STFTSpectrogram(_SpectrogramLayer):
    """The short-time Fourier transform of sound.

    Input: (batch, samples, channels). Output: (batch, frames, frequencies * channels).

    Example:
        {type: STFTSpectrogram, frame_length: 256, frame_step: 128}
    """

    input_description: ClassVar[str] = "sound of shape (batch, samples, channels), rank 3"
    rank_range: ClassVar[tuple[int, int | None]] = (3, 3)
    accepted_dtypes: ClassVar[frozenset[str]] = FLOATS
    compute_dtypes: ClassVar[frozenset[str]] = FLOATS - {"bfloat16"}

    mode: Annotated[
        Literal["log", "magnitude", "psd", "real", "imag", "angle", "stft"],
        Field(description="Output of the transform; stft: real and imaginary part."),
    ] = "log"
    frame_length: Annotated[PositiveInt, Field(description="Samples in a frame.")] = 256
    frame_step: Annotated[
        PositiveInt | None, Field(description="Samples from one frame to the next; null: half a frame.")
    ] = None
    fft_length: Annotated[
        PositiveInt | None, Field(description="Length of the transform; null: the next power of 2.")
    ] = None
    window: Annotated[
        WindowFunction | None,
        Field(description="Window on each frame; null: none."),
    ] = "hann"
    periodic: Annotated[bool, Field(description="Whether the window is periodic rather than symmetric.")] = (
        False
    )
    scaling: Annotated[
        Literal["density", "spectrum"] | None, Field(description="Scaling of the transform; null: none.")
    ] = "density"
    padding: ExactPadding = "valid"
    expand_dims: Annotated[bool, Field(description="Whether channels get a separate axis.")] = False
    data_format: DataFormat = None

    def check(self) -> None:
        if self.frame_step is not None and self.frame_step > self.frame_length:
            message = (
                f"`frame_step` must be at most `frame_length` ({self.frame_length}), got {self.frame_step}."
            )
            raise ArgumentError("frame_step", message, "Decrease `frame_step`, so that frames touch.")
        if self.frame_step is None and self.frame_length == 1:
            raise ArgumentError(
                "frame_step",
                "`frame_step` is required if `frame_length` is 1, since half a frame is not an integer.",
                "Add `frame_step: 1`.",
            )
        if self.fft_length is not None and self.fft_length < self.frame_length:
            message = (
                f"`fft_length` must be at least `frame_length` ({self.frame_length}), got {self.fft_length}."
            )
            raise ArgumentError("fft_length", message, "Increase `fft_length` to a power of 2.")

    @property
    def num_frequencies(self) -> int:
        """The number of frequencies of the transform."""
        return (self.fft_length or 1 << (self.frame_length - 1).bit_length()) // 2 + 1

    def output(self, x: Tensor) -> Tensor:
        is_channels_first = self.data_format == "channels_first"
        channels = self.require_size(x, 1 if is_channels_first else 2)
        step = self.frame_step or self.frame_length // 2
        frames = window_length(x.shape[2 if is_channels_first else 1], self.frame_length, step, self.padding)
        require_nonempty(
            (None, frames),
            self,
            x,
            argument="frame_length",
            hint="Use frames that are at most as long as the sound.",
        )
        num_values = self.num_frequencies * (2 if self.mode == "stft" else 1)
        batch = x.shape[0]
        shape: Shape
        if self.expand_dims:
            shape = (
                (batch, channels, frames, num_values)
                if is_channels_first
                else (batch, frames, num_values, channels)
            )
        else:
            shape = (
                (batch, num_values * channels, frames)
                if is_channels_first
                else (batch, frames, num_values * channels)
            )
        return Tensor(shape, self.compute_dtype)

    def weights(self, x: Tensor) -> list[Weight]:  # the same for any input
        shape = (self.frame_length, 1, self.num_frequencies)
        parts = {"real": ["real"], "imag": ["imag"]}.get(self.mode, ["real", "imag"])
        return [Weight(f"{part}_kernel", shape) for part in parts]
