"""The ``data`` section of type parquet."""

from typing import ClassVar

from layercli.config.data.tables import TableConfig


class Parquet(TableConfig):
    """A table in Parquet files with one example in each row.

    Example:
        {type: parquet, path: trips/*.parquet, target: price, split: {validation: 0.1, test: 0.1}}
    """

    file_noun: ClassVar[str] = "a Parquet file"
    suffixes: ClassVar[tuple[str, ...]] = (".parquet", ".pq")
    signature: ClassVar[bytes | None] = b"PAR1"
