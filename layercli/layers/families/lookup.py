"""Keras's layers that turn words and other tokens into indices or vectors."""

from typing import Annotated, Any, ClassVar, Literal, TypeAlias, TypeVar

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator

from layercli.layers.base import StandardLayer
from layercli.layers.families.preprocessing import (
    PreprocessingLayer,
    Salt,
    SparseOutput,
    check_sparse,
    one_hot_shape,
)
from layercli.layers.shapes import Dim, Shape, Tensor
from layercli.schema.field_types import NonNegativeInt, PositiveInt
from layercli.schema.strict_model import ArgumentError, ExpectedText, value_error
from layercli.source.nodes import quote_value

T = TypeVar("T")


def _require_list(value: Any) -> Any:
    if isinstance(value, str):
        hint = "List the entries, as in `vocabulary: [cat, dog]`, or leave it out to learn it from data."
        raise value_error(
            "wrong-type", f"`vocabulary` is {quote_value(value)}; files are not read from a config.", hint
        )
    return value


def _parse_ngrams(value: Any) -> int | tuple[int, ...]:
    for item in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(item, bool) or not isinstance(item, int) or not 0 < item <= 1000:
            raise value_error(
                "wrong-type", f"{quote_value(item)} is no length of n-grams.", "For example `ngrams: 2`."
            )
    return tuple(value) if isinstance(value, (list, tuple)) else value


def _to_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


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
    Annotated[int, Field(ge=2, le=2**31 - 1)] | None,
    Field(description="Largest size of the vocabulary; null: no limit."),
]
OovIndices = Annotated[NonNegativeInt, Field(description="Number of indices for unknown tokens.")]
IdfWeights = Annotated[list[float] | None, Field(description="For `tf_idf`: a weight for each entry.")]
Invert = Annotated[bool, Field(description="Whether to turn indices into tokens instead.")]
PadToMaxTokens = Annotated[
    bool, Field(description="Whether vectors are `max_tokens` long whatever the vocabulary.")
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
    ExpectedText("a positive whole number, or a list of them"),
]


class _VocabularyLayer(PreprocessingLayer):
    """What all lookups share."""

    hints: ClassVar[dict[str, str]] = {
        **PreprocessingLayer.hints,
        "vocabulary_size": "The size follows from `vocabulary`, or from data; `max_tokens` limits it.",
    }

    def infer_output(self, shape: Shape, mode: str, depth: Dim) -> Tensor:
        """The output for tokens of a shape."""
        if mode == "int":
            return Tensor(shape, "int64")
        return Tensor(one_hot_shape(shape, depth) if mode == "one_hot" else (*shape[:-1], depth), "float32")

    def vector_length(
        self,
        vocabulary: list[T] | None,
        *,
        output_mode: str,
        num_oov_indices: int,
        oov_token: T | None,
        mask_token: T | None,
        max_tokens: int | None,
        pad_to_max_tokens: bool,
        idf_weights: list[float] | None,
        invert: bool = False,
    ) -> int | None:
        """Length of the output's vectors, None where data will tell.

        Raises:
            ArgumentError: the arguments contradict each other.
        """
        if pad_to_max_tokens and max_tokens is None:
            message = "`pad_to_max_tokens` needs `max_tokens`, the size to pad to."
            raise ArgumentError("pad_to_max_tokens", message, "For example `max_tokens: 10000`.")
        if idf_weights is not None and output_mode != "tf_idf":
            message = f"`idf_weights` go with `output_mode: tf_idf`, not {output_mode}."
            raise ArgumentError("idf_weights", message, "Leave `idf_weights` out, or change `output_mode`.")
        if vocabulary is None:
            return max_tokens if pad_to_max_tokens else None
        if output_mode == "tf_idf" and idf_weights is None:
            message = "`output_mode: tf_idf` with a `vocabulary` needs `idf_weights`."
            raise ArgumentError(
                "idf_weights", message, "Give a weight for each entry, or learn both from data."
            )
        num_mask_tokens = 1 if mask_token is not None and output_mode == "int" else 0
        start = num_mask_tokens + num_oov_indices
        has_special_tokens = (
            len(vocabulary) >= start
            and vocabulary[:start] == [mask_token] * num_mask_tokens + [oov_token] * num_oov_indices
        )
        tokens = vocabulary[start:] if has_special_tokens else vocabulary
        if not tokens:
            raise ArgumentError(
                "vocabulary", "`vocabulary` has no entries.", "Leave it out to learn it from data."
            )
        seen: set[T] = set()
        for token in tokens:
            if token in seen:
                raise ArgumentError(
                    "vocabulary", f"`vocabulary` has {quote_value(token)} twice.", "Remove one."
                )
            seen.add(token)
        for reserved, argument in [(mask_token, "mask_token"), (oov_token if invert else None, "oov_token")]:
            if reserved is not None and reserved in seen:
                message = f"`vocabulary` has {quote_value(reserved)}, which is the `{argument}`."
                raise ArgumentError(
                    "vocabulary", message, "Remove it: special tokens are added by themselves."
                )
        if max_tokens is not None and start + len(tokens) > max_tokens:
            entries = start + len(tokens)
            message = f"`vocabulary` has {entries} entries with special tokens; `max_tokens` is {max_tokens}."
            raise ArgumentError("max_tokens", message, "Raise `max_tokens`, or leave it out.")
        if output_mode == "tf_idf" and idf_weights is not None and len(idf_weights) != len(vocabulary):
            message = f"`idf_weights` has {len(idf_weights)} numbers, `vocabulary` {len(vocabulary)} entries."
            raise ArgumentError("idf_weights", message, "Give a weight for each entry.")
        return max_tokens if pad_to_max_tokens else start + len(tokens)


class _LookupLayer(_VocabularyLayer):
    """What the lookups of one token at a time share; the fields are the subclasses' own."""

    trainable: Annotated[bool, Field(description="Without effect: the layer has no weights.")] = True

    def check(self) -> None:
        self._vector_length()
        fields = self.arguments()
        check_sparse(fields["sparse"], fields["output_mode"])
        if not fields["invert"]:
            return
        if fields["output_mode"] != "int":
            message = (
                f"`invert` turns indices into tokens; `output_mode: {fields['output_mode']}` has no indices."
            )
            raise ArgumentError("output_mode", message, "Write `output_mode: int`, or leave it out.")
        if fields["oov_token"] is None:
            message = "`invert` needs an `oov_token` to stand for unknown indices."
            raise ArgumentError("oov_token", message, "Leave `oov_token` out.")

    def output(self, x: Tensor) -> Tensor:
        mode: str = self.arguments()["output_mode"]
        return self.infer_output(x.shape, mode, self._vector_length())

    def _vector_length(self) -> int | None:
        fields = self.arguments()
        return self.vector_length(
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
    """Turns words into indices, by a vocabulary given or learned from data.

    Input: (batch, ...) of text. Output: the same shape of indices, or with ``output_mode`` vectors.

    Example:
        {type: StringLookup, vocabulary: [cat, dog]}
    """

    input_description: ClassVar[str] = "words of shape (batch, ...)"

    max_tokens: MaxTokens = None
    num_oov_indices: OovIndices = 1
    mask_token: Annotated[str | None, Field(description="The word that becomes 0; null: none.")] = None
    oov_token: Annotated[str | None, Field(description="What stands for unknown words.")] = "[UNK]"  # noqa: S105  # no password
    vocabulary: WordVocabulary = None
    idf_weights: IdfWeights = None
    invert: Invert = False
    output_mode: OutputMode = "int"
    pad_to_max_tokens: PadToMaxTokens = False
    sparse: SparseOutput = False
    encoding: TextEncoding = "utf-8"
    oov_method: Annotated[OovMethod, Field(description="Without effect: words are hashed.")] = "floormod"
    salt: Salt = None


class IntegerLookup(_LookupLayer):
    """Turns whole numbers into indices, by a vocabulary given or learned from data.

    Input: (batch, ...) of whole numbers. Output: the same shape, or with ``output_mode`` vectors.

    Example:
        {type: IntegerLookup, vocabulary: [12, 36, 1138]}
    """

    input_description: ClassVar[str] = "whole numbers of shape (batch, ...)"

    max_tokens: MaxTokens = None
    num_oov_indices: OovIndices = 1
    mask_token: Annotated[
        IntegerToken | None, Field(description="The number that becomes 0; null: none.")
    ] = None
    oov_token: Annotated[IntegerToken | None, Field(description="What stands for unknown numbers.")] = -1
    vocabulary: IntegerVocabulary = None
    vocabulary_dtype: Annotated[Literal["int64"], Field(description="Dtype of the vocabulary.")] = "int64"
    idf_weights: IdfWeights = None
    invert: Invert = False
    output_mode: OutputMode = "int"
    sparse: SparseOutput = False
    pad_to_max_tokens: PadToMaxTokens = False
    oov_method: Annotated[OovMethod, Field(description="How unknown numbers get their index.")] = "floormod"
    salt: Salt = None

    def check(self) -> None:
        if self.salt is not None and self.oov_method != "farmhash":
            message = "`salt` is the key of a hash; `oov_method: floormod` takes none."
            raise ArgumentError("salt", message, "Write `oov_method: farmhash`, or leave `salt` out.")
        super().check()


class TextVectorization(_VocabularyLayer, StandardLayer):
    """Splits text into words and turns them into indices, by a vocabulary given or learned from data.

    Input: (batch,) or (batch, 1) of text. Output: (batch, words), or with ``output_mode`` vectors.

    Example:
        {type: TextVectorization, max_tokens: 10000, output_sequence_length: 200}
    """

    input_description: ClassVar[str] = "text of shape (batch,) or (batch, 1)"

    max_tokens: MaxTokens = None
    standardize: Annotated[
        Literal["lower_and_strip_punctuation", "lower", "strip_punctuation"] | None,
        Field(description="What is done to the text first; null: nothing."),
    ] = "lower_and_strip_punctuation"
    split: Annotated[
        Literal["whitespace", "character"] | None,
        Field(description="Where the text is split; null: nowhere."),
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
                message = (
                    f"`output_sequence_length` counts indices; `output_mode: {self.output_mode}` has none."
                )
                raise ArgumentError("output_sequence_length", message, "Leave it out, or `output_mode`.")
            if self.ragged:
                message = "A ragged output holds indices: it needs `output_mode: int`."
                raise ArgumentError("ragged", message, "Leave `ragged` or `output_mode` out.")
        self._vector_length()

    def output(self, x: Tensor) -> Tensor:
        if self.output_mode == "int":
            return Tensor((x.shape[0], self.output_sequence_length), "int64")
        shape = (*x.shape, None) if self.split is not None else x.shape if x.rank > 1 else (*x.shape, 1)
        return self.infer_output(shape, self.output_mode, self._vector_length())

    def _vector_length(self) -> int | None:
        return self.vector_length(
            self.vocabulary,
            output_mode=self.output_mode,
            num_oov_indices=1,
            oov_token="[UNK]",  # noqa: S106  # no password
            mask_token="",
            max_tokens=self.max_tokens,
            pad_to_max_tokens=self.pad_to_max_tokens,
            idf_weights=self.idf_weights,
        )
