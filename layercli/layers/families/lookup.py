"""Keras's lookup layers: they map words and other tokens to indices or vectors."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Generic, Literal, TypeAlias, TypeVar

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator

from layercli.layers.base import StandardLayer
from layercli.layers.dtypes import INTEGERS, TEXT
from layercli.layers.families.preprocessing import (
    PreprocessingLayer,
    Salt,
    SparseOutput,
    check_sparse,
    one_hot_shape,
    require_one_list,
)
from layercli.layers.shapes import Dim, Shape, ShapeError, Tensor, format_shape
from layercli.schema.field_types import NonNegativeInt, PositiveInt
from layercli.schema.strict_model import ArgumentError, ExpectedText, mismatch_error, value_error
from layercli.source.nodes import describe_received, quote_value

T = TypeVar("T")


def _require_list(value: Any) -> Any:
    if isinstance(value, str):
        hint = "List the entries, as in `vocabulary: [cat, dog]`, or remove it to learn it from data."
        message = (
            f"`vocabulary` must be a list, got {describe_received(value)}; files are not read from a config."
        )
        raise value_error("wrong-type", message, hint)
    return value


_MAX_NGRAM = 20
_NGRAMS_TEXT = f"a positive integer of at most {_MAX_NGRAM:,} or a list of such integers"


def _parse_ngrams(value: Any) -> int | tuple[int, ...]:
    for item in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(item, bool) or not isinstance(item, int) or not 0 < item <= _MAX_NGRAM:
            raise mismatch_error(
                "wrong-type", _NGRAMS_TEXT, item, "For example `ngrams: 2`.", container=value
            )
    return tuple(value) if isinstance(value, (list, tuple)) else value


def _to_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


MIN_TOKENS: Final = 2
"""Keras's smallest ``max_tokens``."""
IntegerToken: TypeAlias = Annotated[int, Field(ge=-(2**63), lt=2**63)]
WordVocabulary: TypeAlias = Annotated[
    Annotated[list[str], BeforeValidator(_require_list)] | None,
    Field(description="The words, most frequent first; null: learned from data."),
]
IntegerVocabulary: TypeAlias = Annotated[
    Annotated[list[IntegerToken], BeforeValidator(_require_list)] | None,
    Field(description="The numbers, most frequent first; null: learned from data."),
]
MaxTokens: TypeAlias = Annotated[
    Annotated[int, Field(ge=MIN_TOKENS, le=2**31 - 1)] | None,
    Field(description="Largest size of the vocabulary; null: no limit."),
]
OovIndices = Annotated[NonNegativeInt, Field(description="Number of indices for unknown tokens.")]
IdfWeights = Annotated[list[float] | None, Field(description="For `tf_idf`: a weight for each entry.")]
Invert = Annotated[bool, Field(description="Whether to turn indices into tokens instead.")]
PadToMaxTokens = Annotated[
    bool, Field(description="Whether to pad vectors to `max_tokens`, even if the vocabulary is smaller.")
]
OovMethod: TypeAlias = Literal["floormod", "farmhash"]
OutputMode: TypeAlias = Annotated[
    Literal["int", "one_hot", "multi_hot", "count", "tf_idf"],
    Field(description="int: indices; else vectors."),
]
TextEncoding = Annotated[str, Field(max_length=40, description="Encoding of the text.")]
Ngrams: TypeAlias = Annotated[
    int | tuple[int, ...],
    PlainValidator(_parse_ngrams),
    PlainSerializer(_to_list),
    ExpectedText(_NGRAMS_TEXT),
]


@dataclass(frozen=True)
class _Vocabulary(Generic[T]):
    """A vocabulary with the arguments that determine the length of the output vectors."""

    entries: list[T] | None
    output_mode: str
    num_oov_indices: int
    oov_token: T | None
    mask_token: T | None
    max_tokens: int | None
    pad_to_max_tokens: bool
    idf_weights: list[float] | None
    invert: bool = False

    def vector_length(self) -> int | None:
        """Return the length of the output vectors, or None if it is learned from data.

        Raises:
            ArgumentError: the arguments contradict each other.
        """
        self._check_options()
        if self.entries is None:
            return self.max_tokens if self.pad_to_max_tokens else None
        if self.output_mode == "tf_idf" and self.idf_weights is None:
            message = "`output_mode: tf_idf` with a `vocabulary` requires `idf_weights`."
            hint = "List a weight for each entry, or remove `vocabulary` to learn both from data."
            raise ArgumentError("idf_weights", message, hint)
        tokens = self._remove_special_tokens(self.entries)
        self._check_tokens(tokens)
        size = self._num_special_tokens + len(tokens)
        self._check_sizes(size, len(self.entries))
        return self.max_tokens if self.pad_to_max_tokens else size

    def count_ids(self) -> int | None:
        """Return the number of indices, at most; None if it is learned from data without a limit."""
        if self.entries is None:
            return self.max_tokens
        return self._num_special_tokens + len(self._remove_special_tokens(self.entries))

    def _check_options(self) -> None:
        if self.pad_to_max_tokens and self.max_tokens is None:
            message = "`pad_to_max_tokens` requires `max_tokens`, the size to pad to."
            raise ArgumentError("pad_to_max_tokens", message, "For example `max_tokens: 10000`.")
        if self.idf_weights is not None and self.output_mode != "tf_idf":
            message = f"`idf_weights` requires `output_mode: tf_idf`, got {self.output_mode}."
            raise ArgumentError("idf_weights", message, "Remove `idf_weights`, or change `output_mode`.")

    @property
    def _num_special_tokens(self) -> int:
        """The number of tokens that precede the vocabulary: the mask token and those of unknown words."""
        return self._num_mask_tokens + self.num_oov_indices

    @property
    def _num_mask_tokens(self) -> int:
        return 1 if self.mask_token is not None and self.output_mode == "int" else 0

    def _remove_special_tokens(self, entries: list[T]) -> list[T]:
        start = self._num_special_tokens
        if len(entries) < start:  # before a list of that length is created
            return entries
        special = [self.mask_token] * self._num_mask_tokens + [self.oov_token] * self.num_oov_indices
        return entries[start:] if entries[:start] == special else entries

    def _check_tokens(self, tokens: list[T]) -> None:
        """Check that there are tokens, and that none is repeated or special."""
        if not tokens:
            hint = "Remove it to learn the vocabulary from data."
            raise ArgumentError("vocabulary", "`vocabulary` is empty.", hint)
        seen: set[T] = set()
        for token in tokens:
            if token in seen:
                message = f"`vocabulary` contains {quote_value(token)} twice."
                raise ArgumentError("vocabulary", message, "Remove one.")
            seen.add(token)
        oov_token = self.oov_token if self.invert else None
        for special, argument in ((self.mask_token, "mask_token"), (oov_token, "oov_token")):
            if special is not None and special in seen:
                message = f"`vocabulary` must not contain the `{argument}`, {quote_value(special)}."
                hint = "Remove it: special tokens are added automatically."
                raise ArgumentError("vocabulary", message, hint)

    def _check_sizes(self, size: int, num_entries: int) -> None:
        if self.max_tokens is not None and size > self.max_tokens:
            message = (
                f"`max_tokens` must be at least {size}, the size of `vocabulary` with special tokens, "
                f"got {self.max_tokens}."
            )
            raise ArgumentError("max_tokens", message, "Increase or remove `max_tokens`.")
        weights = self.idf_weights if self.output_mode == "tf_idf" else None
        if weights is not None and len(weights) != num_entries:
            message = (
                f"`idf_weights` must have {num_entries} numbers, one for each entry of `vocabulary`, "
                f"got {len(weights)}."
            )
            raise ArgumentError("idf_weights", message, "List a weight for each entry.")


class _VocabularyLayer(PreprocessingLayer):
    """Base class of all lookups."""

    hints: ClassVar[dict[str, str]] = {
        **PreprocessingLayer.hints,
        "vocabulary_size": "The size follows from `vocabulary` or from data; `max_tokens` limits it.",
    }

    output_mode: str

    def _vocabulary(self) -> "_Vocabulary[Any]":
        raise NotImplementedError

    def _vector_length(self) -> int | None:
        return self._vocabulary().vector_length()

    @property
    def learns_output_size(self) -> bool:
        """Return whether the length of the output vectors is the size of a vocabulary that is learned from data."""
        return self.output_mode != "int" and self._vector_length() is None

    def count_ids(self) -> int | None:
        """Return the number of indices that the layer can return; None if it is learned from data without a limit."""
        return self._vocabulary().count_ids()

    def run_dtype(self, declared: str, dtype: str) -> str:
        del dtype
        return "int64" if self.output_mode in ("one_hot", "multi_hot", "count") else declared

    def infer_output(self, shape: Shape, mode: str, depth: Dim) -> Tensor:
        """Return the output for tokens of a shape (with the batch axis)."""
        if mode == "int":
            return Tensor(shape, "int64")
        if mode != "one_hot":
            require_one_list(self, shape)
        return Tensor(one_hot_shape(shape, depth) if mode == "one_hot" else (*shape[:-1], depth), "float32")


class _LookupLayer(_VocabularyLayer):
    """Base class of lookups of single tokens; the subclasses declare the fields."""

    trainable: Annotated[bool, Field(description="Without effect: the layer has no weights.")] = True

    def check(self) -> None:
        self._vector_length()
        fields = self.arguments()
        check_sparse(fields["sparse"], fields["output_mode"])
        if not fields["invert"]:
            return
        if fields["output_mode"] != "int":
            message = f"`invert` requires `output_mode: int`, got {fields['output_mode']}."
            raise ArgumentError("output_mode", message, "Write `output_mode: int`, or remove `output_mode`.")
        if fields["oov_token"] is None:
            message = "`invert` requires an `oov_token` for unknown indices."
            raise ArgumentError("oov_token", message, "Remove `oov_token` to use its default.")

    def output(self, x: Tensor) -> Tensor:
        mode: str = self.arguments()["output_mode"]
        return self.infer_output(x.shape, mode, self._vector_length())

    def _vocabulary(self) -> "_Vocabulary[Any]":
        fields = self.arguments()
        return _Vocabulary(
            fields["vocabulary"],
            output_mode=fields["output_mode"],
            num_oov_indices=fields["num_oov_indices"],
            oov_token=fields["oov_token"],
            mask_token=fields["mask_token"],
            max_tokens=fields["max_tokens"],
            pad_to_max_tokens=fields["pad_to_max_tokens"],
            idf_weights=fields["idf_weights"],
            invert=fields["invert"],
        )


class StringLookup(_LookupLayer):
    """Maps words to indices by a vocabulary that is declared or learned from data.

    Input: (batch, ...) of text. Output: the same shape of indices, or with ``output_mode`` vectors.

    Example:
        {type: StringLookup, vocabulary: [cat, dog]}
    """

    input_description: ClassVar[str] = "words of shape (batch, ...)"

    max_tokens: MaxTokens = None
    num_oov_indices: OovIndices = 1
    mask_token: Annotated[str | None, Field(description="The word that becomes 0; null: none.")] = None
    oov_token: Annotated[str | None, Field(description="Replacement of unknown words.")] = "[UNK]"  # noqa: S105  # no password
    vocabulary: WordVocabulary = None
    idf_weights: IdfWeights = None
    invert: Invert = False
    output_mode: OutputMode = "int"
    pad_to_max_tokens: PadToMaxTokens = False
    sparse: SparseOutput = False
    encoding: TextEncoding = "utf-8"
    oov_method: Annotated[OovMethod, Field(description="Without effect: words are hashed.")] = "floormod"
    salt: Salt = None

    def find_accepted_dtypes(self) -> frozenset[str]:
        return INTEGERS if self.invert else TEXT


class IntegerLookup(_LookupLayer):
    """Maps integers to indices by a vocabulary that is declared or learned from data.

    Input: (batch, ...) of integers. Output: the same shape, or with ``output_mode`` vectors.

    Example:
        {type: IntegerLookup, vocabulary: [12, 36, 1138]}
    """

    input_description: ClassVar[str] = "integers of shape (batch, ...)"

    max_tokens: MaxTokens = None
    num_oov_indices: OovIndices = 1
    mask_token: Annotated[
        IntegerToken | None, Field(description="The number that becomes 0; null: none.")
    ] = None
    oov_token: Annotated[IntegerToken | None, Field(description="Replacement of unknown numbers.")] = -1
    vocabulary: IntegerVocabulary = None
    vocabulary_dtype: Annotated[Literal["int64"], Field(description="Dtype of the vocabulary.")] = "int64"
    idf_weights: IdfWeights = None
    invert: Invert = False
    output_mode: OutputMode = "int"
    sparse: SparseOutput = False
    pad_to_max_tokens: PadToMaxTokens = False
    oov_method: Annotated[OovMethod, Field(description="Method that assigns indices to unknown numbers.")] = (
        "floormod"
    )
    salt: Salt = None

    def check(self) -> None:
        if self.salt is not None and self.oov_method != "farmhash":
            message = "`salt` requires `oov_method: farmhash`, got floormod."
            raise ArgumentError("salt", message, "Write `oov_method: farmhash`, or remove `salt`.")
        super().check()


class TextVectorization(_VocabularyLayer, StandardLayer):
    """Splits text into words and maps them to indices by a vocabulary that is declared or learned from data.

    Input: (batch,) or (batch, 1) of text. Output: (batch, words), or with ``output_mode`` vectors.

    Example:
        {type: TextVectorization, max_tokens: 10000, output_sequence_length: 200}
    """

    input_description: ClassVar[str] = "text of shape (batch,) or (batch, 1)"
    rank_range: ClassVar[tuple[int, int | None]] = (1, 2)
    accepted_dtypes: ClassVar[frozenset[str]] = TEXT

    max_tokens: MaxTokens = None
    standardize: Annotated[
        Literal["lower_and_strip_punctuation", "lower", "strip_punctuation"] | None,
        Field(description="Standardization of the text; null: none."),
    ] = "lower_and_strip_punctuation"
    split: Annotated[
        Literal["whitespace", "character"] | None,
        Field(description="Unit into which the text is split; null: no split."),
    ] = "whitespace"
    ngrams: Annotated[
        Ngrams | None,
        Field(description="Sequences of words to count as one: up to this length, or of these."),
    ] = None
    output_mode: OutputMode = "int"
    output_sequence_length: Annotated[
        PositiveInt | None, Field(description="Words of each text, padded or cut; null: of the longest.")
    ] = None
    pad_to_max_tokens: PadToMaxTokens = False
    vocabulary: WordVocabulary = None
    idf_weights: IdfWeights = None
    sparse: SparseOutput = False
    ragged: Annotated[bool, Field(description="Whether the output is a ragged tensor.")] = False
    encoding: TextEncoding = "utf-8"

    def check(self) -> None:
        check_sparse(self.sparse, self.output_mode)
        if self.output_mode != "int":
            if self.output_sequence_length is not None:
                message = f"`output_sequence_length` requires `output_mode: int`, got {self.output_mode}."
                raise ArgumentError(
                    "output_sequence_length", message, "Remove `output_sequence_length` or `output_mode`."
                )
            if self.ragged:
                message = f"`ragged` requires `output_mode: int`, got {self.output_mode}."
                raise ArgumentError("ragged", message, "Remove `ragged` or `output_mode`.")
        self._vector_length()

    def output(self, x: Tensor) -> Tensor:
        if self.split is not None and x.rank > 1 and x.shape[-1] not in (1, None):
            raise ShapeError(
                f"TextVectorization splits one text for each example, got {format_shape(x.shape)}.",
                hint="Declare an input of shape [1] for each text, or write `split: null` for words.",
            )
        if self.split is None and x.rank == 1 and self.output_mode != "one_hot":
            raise ShapeError(
                f"TextVectorization with `split: null` expects a list of words for each example, got {format_shape(x.shape)}.",
                hint="Put {type: Reshape, target_shape: [1]} before this layer.",
            )
        if self.output_mode == "int":
            return Tensor((x.shape[0], self.output_sequence_length), "int64")
        if self.output_mode == "one_hot":
            return self.infer_output(
                (*x.shape, None) if self.split else x.shape, "one_hot", self._vector_length()
            )
        # Keras declares an additional axis of size 1 for texts of shape (batch, 1), but does not return it.
        return Tensor((x.shape[0], self._vector_length()), "float32")

    def _vocabulary(self) -> "_Vocabulary[Any]":
        return _Vocabulary(
            self.vocabulary,
            output_mode=self.output_mode,
            num_oov_indices=1,
            oov_token="[UNK]",  # noqa: S106  # no password
            mask_token="",
            max_tokens=self.max_tokens,
            pad_to_max_tokens=self.pad_to_max_tokens,
            idf_weights=self.idf_weights,
        )
