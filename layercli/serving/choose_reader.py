"""Choose the reader for the data of a run."""

from __future__ import annotations

from layercli.config.data.tables import TableConfig
from layercli.formats.images.config import Images
from layercli.formats.text.config import Text
from layercli.serving.array_reader import ArrayReader
from layercli.serving.column_readers import RowReader, SeriesReader
from layercli.serving.example_reader import ExampleReader
from layercli.serving.file_reader import FileReader
from layercli.workflows.finished_run import FinishedRun


def make_reader(finished_run: FinishedRun) -> ExampleReader:
    """Return the reader of a run."""
    data = finished_run.make_new_data_section([""])
    if isinstance(data, Text):
        data = data.as_table() or data
    if isinstance(data, TableConfig):
        reader = RowReader if data.windows is None else SeriesReader
        return reader(finished_run, data)
    if isinstance(data, Images | Text):
        return FileReader(finished_run, data)
    return ArrayReader(finished_run)
