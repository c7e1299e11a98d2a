"""The ``data`` section of type feather."""

from typing import ClassVar

from layercli.config.data.tables import TableConfig


class Feather(TableConfig):
    """A table in Feather files (version 2, the file format of Arrow) with one example in each row.

    Example:
        {type: feather, path: trips.feather, target: price, split: {validation: 0.1, test: 0.1}}
    """

    file_noun: ClassVar[str] = "a Feather file"
    suffixes: ClassVar[tuple[str, ...]] = (".feather", ".arrow")
    signature: ClassVar[bytes | None] = b"ARROW1"
