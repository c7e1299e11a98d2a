"""The ``data`` section of type jsonl."""

from typing import ClassVar

from layercli.config.data.tables import TableConfig


class Jsonl(TableConfig):
    """A table in JSON lines, with one example in each line. A value inside of another is the column `outer.inner`.

    Example:
        {type: jsonl, path: visits.jsonl, target: price, split: {validation: 0.1, test: 0.1}}
    """

    file_noun: ClassVar[str] = "a file of JSON lines"
    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson")
