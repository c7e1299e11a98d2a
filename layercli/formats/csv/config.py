"""The ``data`` section of type csv."""

from typing import Annotated

from pydantic import Field

from layercli.config.data.tables import TableConfig


class Csv(TableConfig):
    """A table of text with one example on each line.

    Example:
        {type: csv, path: iris.csv, target: species, split: {validation: 0.1, test: 0.2, stratify: true}}
    """

    columns: Annotated[
        list[str] | None, Field(description="Names of the columns, if the file has no header line.")
    ] = None
    separator: Annotated[
        str, Field(min_length=1, max_length=1, description="The character between values.")
    ] = ","
