"""The ``data`` section of type csv."""

import codecs
from collections import Counter
from typing import Annotated, ClassVar, Final

from pydantic import Field

from layercli.config.data.tables import TableConfig
from layercli.schema.section_hints import CSV_HINTS
from layercli.schema.strict_model import ArgumentError

EncodingField = Annotated[
    str,
    Field(
        min_length=1,
        description="The encoding of the files, such as latin-1, cp1252 or utf-16; a byte order mark overrides it.",
        examples=["latin-1"],
    ),
]


_CODECS_OF_NO_FILE: Final = {"idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape"}
"""Codecs of Python for domain names and source code; the time of some is quadratic."""


def check_encoding(encoding: str) -> None:
    """Check that an encoding exists.

    Raises:
        ArgumentError: it does not.
    """
    try:
        codec = codecs.lookup(encoding)
        is_text = codec._is_text_encoding and codec.name.replace("-", "_") not in _CODECS_OF_NO_FILE
    except (LookupError, ValueError):
        is_text = False
    if not is_text:
        message = f'Unknown encoding "{encoding}".'
        raise ArgumentError("encoding", message, "Use utf-8, latin-1, cp1252 or utf-16.")


class Csv(TableConfig):
    """A table of text with one example on each line.

    Example:
        {type: csv, path: iris.csv, target: species, split: {validation: 0.1, test: 0.2, stratify: true}}
    """

    hints: ClassVar[dict[str, str]] = CSV_HINTS

    has_numbers_as_texts: ClassVar[bool] = True
    file_noun: ClassVar[str] = "a CSV file"
    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv")

    columns: Annotated[
        list[str] | None, Field(description="Names of the columns, if the file has no header line.")
    ] = None
    separator: Annotated[
        str, Field(min_length=1, max_length=1, description="The character between values.")
    ] = ","
    encoding: EncodingField = "utf-8"
    skip_lines: Annotated[
        int,
        Field(ge=0, le=1_000_000, description="Number of lines above the header, or above the first row."),
    ] = 0
    comment: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=1,
            description="Lines that begin with this character are skipped.",
            examples=["#"],
        ),
    ] = None

    def check(self) -> None:
        super().check()
        names = [name.strip() for name in self.columns or ()]
        counts = Counter(names)
        for name in names:
            if counts[name] > 1:
                first, second = [index + 1 for index, other in enumerate(names) if other == name][:2]
                message = f"`columns` names `{name}` twice: columns {first} and {second}."
                raise ArgumentError("columns", message, "Give each column a different name.")
        check_encoding(self.encoding)
