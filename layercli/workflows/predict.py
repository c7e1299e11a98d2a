"""Predict new examples, or the examples of a set, with the model of a finished run."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, Any, Final, Literal, TypeAlias

from layercli.activity import show_activity
from layercli.config.data.tables import TableConfig
from layercli.errors import LayercliError, Problem, Severity, make_file_error
from layercli.formats.images.config import IMAGE_SUFFIXES
from layercli.formats.registry import iterate_new_rows, load_new_dataset
from layercli.formats.text.config import Text
from layercli.graph.checks.ids import check_ids, has_id_layers
from layercli.io.atomic import stage_file
from layercli.io.paths import is_file
from layercli.schema.suggestions import list_names
from layercli.source.nodes import sanitize_text
from layercli.workflows.evaluate import SPLIT_NAMES, SplitName, list_set_files, load_run_splits
from layercli.workflows.finished_run import FinishedRun
from layercli.workflows.preflight import read_memory_limit, require_data

if TYPE_CHECKING:
    from layercli.config.data.section import DataConfig
    from layercli.config.data.tables import WindowsConfig
    from layercli.data.examples import Examples
    from layercli.data.new_examples import NewExamples
    from layercli.data.predictions import ColumnChunk
    from layercli.data.tables.plan import TablePlan
    from layercli.data.types import Array

DEFAULT_PREDICTION_BATCH = 128
STANDARD_STREAM: Final = "-"
"""The name of standard input and standard output."""
PREDICTION_SUFFIXES = (".csv", ".parquet", ".pq", ".jsonl", ".ndjson", ".npz")
"""The keys of ``layercli.data.predictions.PREDICTION_WRITERS``, repeated here because that module imports numpy."""
StreamFormat: TypeAlias = Literal["csv", "jsonl"]


def is_mask_folder(output: str) -> bool:
    """Return whether an output is a folder, for a mask for each image."""
    return output.endswith("/") or Path(output).is_dir()


@show_activity("Predicting")
def predict_to_file(
    run: str,
    inputs: list[str],
    output: str,
    *,
    batch_size: int = DEFAULT_PREDICTION_BATCH,
    trust: bool = False,
    keep: Sequence[str] = (),
    stream_format: StreamFormat | None = None,
    stdout: IO[str] | None = None,
) -> dict[str, Any]:
    """Write a row for each example at ``inputs``, in their order. A file is written completely or not at all.

    Args:
        run: The directory of a finished run.
        inputs: Files, or "-" for standard input.
        output: A file, a folder for masks, a named pipe, or "-" for standard output.
        batch_size: Number of examples per batch.
        trust: Whether custom code may be run.
        keep: Columns of the input that are copied to the output.
        stream_format: Format of the output; None follows from its name, csv for standard output.
        stdout: Standard output.

    Raises:
        LayercliError: The run is not finished, its code is not trusted, or the examples cannot be read.
    """
    finished_run = FinishedRun.open(run, trust=trust)
    for path in inputs:
        _require_different_files(path, output)
    warnings: list[Problem] = []
    with ExitStack() as stack:
        examples = _open_examples(finished_run, inputs, keep, batch_size, stack, warnings)
        pieces = _report_read_errors(examples, inputs[0])
        if not any(map(is_stream, inputs)):
            pieces = _read_first(pieces, inputs[0])
        document = _write_predictions(
            finished_run,
            pieces,
            _make_output(finished_run, output, stream_format, stdout, inputs),
            batch_size,
        )
    document["problems"] = [problem.as_json() for problem in warnings] + document["problems"]
    return document


@show_activity("Predicting")
def predict_set(
    run: str,
    split: SplitName,
    output: str,
    *,
    batch_size: int = DEFAULT_PREDICTION_BATCH,
    trust: bool = False,
    stream_format: StreamFormat | None = None,
    stdout: IO[str] | None = None,
) -> dict[str, Any]:
    """Write a row for each example of a run's set, with its target; see ``predict_to_file``.

    Raises:
        LayercliError: The run is not finished, its code is not trusted, or its data cannot be read.
    """
    finished_run = FinishedRun.open(run, trust=trust)
    pieces = _iterate_set(finished_run, split, batch_size, trust=trust)
    return _write_predictions(
        finished_run, pieces, _make_output(finished_run, output, stream_format, stdout, ()), batch_size
    )


class _TerminalText:
    """A terminal, on which texts of the data and the run are shown without control characters."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        """Write the text; its line breaks stay."""
        return self._file.write("\n".join(map(sanitize_text, text.split("\n"))))

    def flush(self) -> None:
        """Show what was written."""
        self._file.flush()


@dataclass(frozen=True, slots=True)
class _OutputStream:
    """The destination of predictions."""

    name: str
    stream_format: StreamFormat | None
    stdout: IO[str] | None
    inputs: Sequence[str]
    class_names: Sequence[str] | None

    def write(self, chunks: Iterable[ColumnChunk]) -> int:
        """Write all chunks, and return the number of rows."""
        from layercli.data.predictions import PREDICTION_WRITERS, STREAM_WRITERS

        path, stream_format = Path(self.name), self.stream_format
        if self.name == STANDARD_STREAM:
            stdout: Any = self.stdout or sys.stdout
            stdout = _TerminalText(stdout) if stdout.isatty() else stdout
            return STREAM_WRITERS[stream_format or "csv"](stdout, chunks)
        if is_stream(self.name):  # a file in the place of a pipe would not reach its reader
            with path.open("w", encoding="utf-8", newline="") as pipe:
                return STREAM_WRITERS[stream_format or "csv"](pipe, chunks)
        if is_mask_folder(self.name):
            from layercli.formats.images.mask_files import write_masks

            return write_masks(path, map(_select_predicted, chunks), self.inputs, self.class_names)
        suffix = path.suffix.lower() if stream_format is None else f".{stream_format}"
        with stage_file(path) as staging:
            return PREDICTION_WRITERS[suffix](staging, chunks)


def _make_output(
    finished_run: FinishedRun,
    name: str,
    stream_format: StreamFormat | None,
    stdout: IO[str] | None,
    inputs: Sequence[str],
) -> _OutputStream:
    names = finished_run.load_reader_state().class_names_of(None)
    return _OutputStream(name, stream_format, stdout, inputs, names)


def _select_predicted(chunk: ColumnChunk) -> ColumnChunk:
    """Return the rows without an error."""
    import numpy as np

    rows = np.flatnonzero([error is None for error in chunk["error"]])
    return {name: np.ma.getdata(column[rows]) for name, column in chunk.items()}


def is_stream(name: str) -> bool:
    """Return whether an input or output is a standard stream, a pipe or a device."""
    path = Path(name)
    return name == STANDARD_STREAM or path.is_fifo() or path.is_char_device()


def _read_first(pieces: Iterator[NewExamples], source: str) -> Iterator[NewExamples]:
    """Return the same pieces after the first was read, so that errors are found before the model is loaded.

    Raises:
        LayercliError: There are none, or they cannot be read.
    """
    first = next(pieces, None)
    if first is None:
        raise make_file_error(source, "unreadable-data", "The input contains no examples.")
    return chain([first], pieces)


def _write_predictions(
    finished_run: FinishedRun, pieces: Iterable[NewExamples], output: _OutputStream, batch_size: int
) -> dict[str, Any]:
    """Return the document of ``predict --json``.

    Raises:
        LayercliError: The examples cannot be read, or the file cannot be written.
    """
    from layercli.data.predictions import expand_steps
    from layercli.engine.load_model import load_model
    from layercli.engine.predict import predict_columns
    from layercli.engine.unfamiliar_values import UnfamiliarValues

    model = load_model(finished_run.path, finished_run.valid)
    counter = _ErrorCounter()
    unfamiliar = UnfamiliarValues.of(model, finished_run.valid, finished_run.count_examples()).count()
    chunks: Iterator[ColumnChunk] = predict_columns(
        model,
        finished_run.valid,
        unfamiliar.watch_pieces(counter.count(pieces)),
        finished_run.load_reader_state(),
        batch_size,
    )
    windows = find_windows(finished_run)
    if windows is not None and windows.steps is not None:
        steps, horizon = windows.steps, windows.horizon
        chunks = (expand_steps(chunk, steps, horizon) for chunk in chunks)
    try:
        rows = output.write(chunks)
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise make_file_error(
            output.name, "cannot-write", f"The predictions cannot be written: {reason}."
        ) from None
    return {
        "ok": not counter.has_only_errors,
        "run": str(finished_run.path),
        "examples": rows,
        "output": output.name,
        "problems": [
            problem.as_json() for problem in (*counter.list_problems(), *unfamiliar.list_problems())
        ],
    }


def find_windows(finished_run: FinishedRun) -> WindowsConfig | None:
    """Return the section of windows, if the data has it."""
    data = require_data(finished_run.valid)
    return data.windows if isinstance(data, TableConfig) else None


class _ErrorCounter:
    """Counts the examples that have an error instead of a prediction."""

    def __init__(self) -> None:
        self._rows = self._wrong_rows = 0
        self._first: tuple[int, str] | None = None

    def count(self, pieces: Iterable[NewExamples]) -> Iterator[NewExamples]:
        """Yield the same pieces."""
        for piece in pieces:
            for row, error in enumerate(piece.errors, start=self._rows + 1):
                if error is not None:
                    self._wrong_rows += 1
                    self._first = self._first or (row, error)
            self._rows += len(piece)
            yield piece

    @property
    def has_only_errors(self) -> bool:
        """Whether there are examples, and none of them has a prediction."""
        return 0 < self._rows == self._wrong_rows

    def list_problems(self) -> list[Problem]:
        """Return a warning if there are such examples, and an error if all are."""
        if self._first is None:
            return []
        row, error = self._first
        if self._rows == 1:
            message = f"The example has no prediction: {error}."
        else:
            have = "has" if self._wrong_rows == 1 else "have"
            count = f"{self._wrong_rows:,} of {self._rows:,} examples {have}"
            message = f"{count} no prediction; the first is example {row}: {error}."
        hint = "The column `error` of the output has the reason for each. Correct these examples, and predict again."
        severity: Severity = "error" if self.has_only_errors else "warning"
        return [Problem(code="no-prediction", severity=severity, message=message, hint=hint)]


def _require_different_files(input_: str, output: str) -> None:
    """Check that the output does not replace the input.

    Raises:
        LayercliError: They are the same file.
    """
    first, second = Path(input_), Path(output)
    if is_file(first) and is_file(second) and first.samefile(second):
        message = "The predictions cannot be written to the input file."
        raise make_file_error(output, "cannot-write", message, "Name another file with `--output`.")


def _open_examples(
    finished_run: FinishedRun,
    inputs: list[str],
    keep: Sequence[str],
    batch_size: int,
    stack: ExitStack,
    warnings: list[Problem],
) -> Iterator[NewExamples]:
    """Return the examples of the inputs, some at a time; warnings about them are added to ``warnings``.

    Raises:
        LayercliError: A path does not exist, or the data cannot be read so.
    """
    data = finished_run.make_new_data_section(inputs)
    if isinstance(data, Text):
        data = data.as_table() or data
    is_table = isinstance(data, TableConfig)
    if keep and not is_table:
        message = f"`--keep` names columns of a table, but the input is {data.title()}."
        raise make_file_error(inputs[0], "unreadable-data", message, "Remove `--keep`.")
    if isinstance(data, TableConfig):
        plan = finished_run.load_reader_state().table_plan
        assert plan is not None  # a run of tables has one
        problems = [problem for path in inputs if (problem := _check_table(path, plan)) is not None]
        if problems:
            raise LayercliError(problems)
        if data.windows is None:
            rows = iterate_new_rows(data, _open_sources(inputs, stack), plan, keep)
            return check_row_ids(finished_run, rows)
    paths = [_save_stream(path, data, stack) for path in inputs]
    if data.example_suffixes is not None:
        return iterate_files(finished_run, data, paths, warnings)
    pieces = iterate_dataset(finished_run, paths, keep, batch_size, warnings)
    return check_row_ids(finished_run, _name_inputs(pieces, dict(zip(paths, inputs, strict=True))))


def _name_inputs(pieces: Iterator[NewExamples], names: Mapping[str, str]) -> Iterator[NewExamples]:
    """Yield the pieces; errors have the names of the inputs instead of those of their copies.

    Raises:
        LayercliError: They cannot be read.
    """

    def rename(text: str | None) -> str | None:
        for path, name in names.items():
            text = text and text.replace(path, "standard input" if name == STANDARD_STREAM else name)
        return text

    try:
        yield from pieces
    except LayercliError as error:
        raise LayercliError(
            replace(
                problem,
                message=rename(problem.message) or "",
                hint=rename(problem.hint),
                file=rename(problem.file),
            )
            for problem in error.problems
        ) from None


def check_row_ids(finished_run: FinishedRun, pieces: Iterator[NewExamples]) -> Iterator[NewExamples]:
    """Yield the pieces; rows with an id that a layer cannot look up have an error."""
    if not has_id_layers(finished_run.valid.shapes):
        yield from pieces
        return
    import numpy as np

    from layercli.data.checks import find_value_ranges
    from layercli.data.new_examples import read_separately
    from layercli.data.statistics import compute_statistics
    from layercli.data.types import DataError

    shapes, names = finished_run.valid.shapes, list(finished_run.valid.graph.inputs)
    for piece in pieces:

        def check(first: int, last: int, examples: Examples = piece.examples) -> Examples:
            rows = examples.take(slice(first, last))
            ranges = find_value_ranges(compute_statistics(rows, has_ids=True), names)
            errors = [
                finding
                for finding in check_ids(shapes, ranges, is_trained=True)
                if finding.severity == "error"
            ]
            if errors:
                raise DataError(*errors)
            return rows

        def describe(_row: int, error: DataError) -> str:
            return sanitize_text(error.findings[0].message.replace(" in row 1", ""), limit=200).rstrip(".")

        kept, errors = read_separately(len(piece.examples), check, describe)
        merged = list(piece.errors)
        for row, error in zip(np.flatnonzero(piece.is_usable).tolist(), errors, strict=True):
            merged[row] = error
        examples = piece.examples.take(slice(0, 0)) if kept is None else kept
        yield replace(piece, examples=examples, errors=tuple(merged))


def _open_sources(inputs: Sequence[str], stack: ExitStack) -> list[Path | IO[bytes]]:
    """Return the files and open streams that inputs name.

    Raises:
        LayercliError: A file does not exist.
    """
    from layercli.data.paths import expand_paths

    sources: list[Path | IO[bytes]] = []
    for name in inputs:
        path = Path(name)
        if name == STANDARD_STREAM:
            sources.append(sys.stdin.buffer)
        elif is_stream(name):
            sources.append(stack.enter_context(path.open("rb")))
        else:
            with report_data_errors(name):
                sources += expand_paths([name], ("data", "path"))
    return sources


def _save_stream(name: str, data: DataConfig, stack: ExitStack) -> str:
    """Return the path of an input; that of a copy if it is a stream, because the series of a table are read at once.

    Raises:
        LayercliError: The data is not a table.
    """
    path = Path(name)
    if not is_stream(name):
        return name
    if not isinstance(data, TableConfig):
        message = f"{data.title()} cannot be read from a stream."
        raise make_file_error(name, "unreadable-data", message, "Name files with `--input`.")
    folder = stack.enter_context(TemporaryDirectory(prefix="layercli-"))
    copy = Path(folder) / "input"
    with copy.open("wb") as target:
        source = sys.stdin.buffer if name == STANDARD_STREAM else stack.enter_context(path.open("rb"))
        while block := source.read(1 << 20):
            target.write(block)
    return str(copy)


def _check_table(path: str, plan: TablePlan) -> Problem | None:
    """Return a problem if the path for a model of tables is a folder, or an image by its suffix."""
    suffix = Path(path).suffix.lower()
    is_folder = Path(path).is_dir()
    if not is_folder and (suffix not in IMAGE_SUFFIXES or not Path(path).is_file()):
        return None
    columns = list_names(replace(plan, targets={}).columns)
    message = f"The input of this model must be a table with the columns {columns}, got {'a folder' if is_folder else suffix}."
    hint = "Name its files with `--input`." if is_folder else "Name such a table with `--input`."
    return Problem(code="unreadable-data", message=message, hint=hint, file=path)


def _check_file_type(path: str, suffixes: Sequence[str]) -> Problem | None:
    """Return a problem if a file for a model of images or texts is a table or has arrays, by its suffix."""
    suffix = Path(path).suffix.lower()
    if suffix in suffixes or suffix not in _OTHER_SUFFIXES or not Path(path).is_file():
        return None
    message = f"The input of this model must be files that end in {', '.join(suffixes)}, or a folder of them, got {suffix}."
    hint = "Name such files, or their folder, with `--input`."
    return Problem(code="unreadable-data", message=message, hint=hint, file=path)


def iterate_files(
    finished_run: FinishedRun, data: DataConfig, paths: Sequence[str], warnings: list[Problem]
) -> Iterator[NewExamples]:
    """Yield the examples of files, some at a time; files that cannot be read have an error.

    Warnings about files that are left out are added to ``warnings``.
    """
    import numpy as np

    from layercli.data.class_folders import list_new_files
    from layercli.data.examples import Examples, load_examples
    from layercli.data.new_examples import NewExamples, read_separately
    from layercli.data.types import DataError

    state = finished_run.load_reader_state()
    suffixes = data.example_suffixes or ()
    problems = [problem for path in paths if (problem := _check_file_type(path, suffixes)) is not None]
    if problems:
        raise LayercliError(problems)
    labels = getattr(finished_run.resolve_data(), "labels", None)
    table = None if labels is None else Path(labels.path)
    listed, _, left_out = list_new_files(paths, suffixes, (), has_targets=False, ignored_file=table)
    warnings += [finding.to_file_problem(paths[0]) for finding in left_out]
    files = data.select_examples(listed)
    empty: Examples | None = None
    for start in range(0, len(files), _FILES_AT_ONCE):
        names = list(map(str, files[start : start + _FILES_AT_ONCE]))

        def read(first: int, last: int, names: Sequence[str] = names) -> Examples:
            return load_examples(
                load_new_dataset(
                    data, names[first:last], state, memory=read_memory_limit(), has_targets=False
                )
            )

        def describe(_row: int, error: DataError) -> str:
            return sanitize_text(error.findings[0].message, limit=200).rstrip(".")

        examples, errors = read_separately(len(names), read, describe)
        if examples is None:
            shapes = {name: np.empty((0, *shape), dtype) for name, (shape, dtype) in state.inputs.items()}
            empty = Examples(shapes.get(None, shapes), np.zeros(0, dtype=np.int32))  # type: ignore[arg-type]
        columns = {"file": np.array(names, dtype=object)}
        yield NewExamples(examples or empty, tuple(errors), columns)  # type: ignore[arg-type]


_OTHER_SUFFIXES: Final = (
    *(
        ".csv",
        ".tsv",
        ".parquet",
        ".feather",
        ".arrow",
        ".jsonl",
        ".json",
        ".xlsx",
        ".npz",
        ".npy",
        ".yaml",
        ".yml",
    ),
    *IMAGE_SUFFIXES,
    ".txt",
)
"""Files of other kinds of data: for a model that reads a file for each example, they are mistaken for its examples."""
_FILES_AT_ONCE: Final = 128
"""Files that are read together."""


def iterate_dataset(
    finished_run: FinishedRun,
    paths: Sequence[str],
    keep: Sequence[str],
    batch_size: int,
    warnings: list[Problem],
) -> Iterator[NewExamples]:
    """Yield the examples of arrays or of the series of a table, ``batch_size`` at a time."""
    from layercli.data.new_examples import iterate_new_examples
    from layercli.data.tables.windows import WindowedDataset

    dataset, _, _ = finished_run.read_new_examples(paths, has_targets=False, keep=keep)
    columns = None
    if isinstance(dataset, WindowedDataset):
        warnings += [finding.to_file_problem(paths[0]) for finding in dataset.order_findings]
        columns = dataset.last_row_columns | _make_step_column(finished_run, len(dataset))
    for piece in iterate_new_examples(dataset, batch_size, columns):
        yield piece.without_non_finite()


def _iterate_set(
    finished_run: FinishedRun, split: SplitName, batch_size: int, *, trust: bool
) -> Iterator[NewExamples]:
    """Yield the examples of a set with their numbers or files and their targets."""
    import numpy as np

    from layercli.data.examples import Examples
    from layercli.data.labels import are_numbers_in_data
    from layercli.data.lazy import LazyDataset
    from layercli.data.new_examples import iterate_new_examples
    from layercli.data.tables.streamed import StreamedRows
    from layercli.data.target_columns import list_target_columns

    splits = load_run_splits(finished_run, split, trust=trust)
    subset = getattr(splits, split)
    rows = splits.rows[SPLIT_NAMES.index(split)] if splits.rows is not None else None
    if rows is not None and isinstance(subset, (Examples, LazyDataset)):  # in the order of the data
        subset, rows = subset.select_rows(np.argsort(rows)), np.sort(rows)
    if rows is None and isinstance(subset, StreamedRows):
        rows = subset.row_numbers
    columns = {"example" if rows is None else "row": np.arange(len(subset)) + 1 if rows is None else rows + 1}
    files = list_set_files(finished_run, split)
    if files is not None and rows is not None:
        columns = {"file": np.array(files, dtype=object)[rows]}
    columns |= _make_step_column(finished_run, len(subset))
    state, data = finished_run.load_reader_state(), finished_run.valid.config.data
    targets = [name for name, _ in subset.empty_batch.targets]
    number_targets = {name for name in targets if are_numbers_in_data(data, name, state.class_names_of(name))}
    for piece in iterate_new_examples(subset, batch_size, columns):
        target_columns = list_target_columns(piece.examples, state, number_targets)
        identified = replace(piece, columns={**piece.columns, **target_columns})
        yield identified.without_non_finite()


def _make_step_column(finished_run: FinishedRun, count: int) -> dict[str, Array]:
    """Return the column of the number of rows from the last known to the predicted one, if it is always the same."""
    import numpy as np

    windows = find_windows(finished_run)
    return {} if windows is None or windows.steps is not None else {"step": np.full(count, windows.horizon)}


def _report_read_errors(pieces: Iterable[NewExamples], source: str) -> Iterator[NewExamples]:
    """Yield the pieces; an error that reading them raises names the input.

    Raises:
        LayercliError: They cannot be read.
    """
    with report_data_errors(source):
        yield from pieces


@contextmanager
def report_data_errors(source: str) -> Iterator[None]:
    """Convert errors of reading data to errors that name the input.

    Raises:
        LayercliError: The data cannot be read.
    """
    from layercli.data.types import DataError

    try:
        yield
    except DataError as error:
        raise LayercliError(finding.to_new_data_problem(source) for finding in error.findings) from None
    except (OSError, EOFError, zlib.error, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"The input cannot be read: {sanitize_text(reason, limit=200)}."
        raise make_file_error(source, "unreadable-data", message) from None
