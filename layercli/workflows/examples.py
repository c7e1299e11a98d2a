"""The example configs of the package: listed, and written with the files that they read."""

from __future__ import annotations

import importlib.util
import re
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import layercli
from layercli.errors import LayercliError, Problem, make_file_error
from layercli.io.atomic import report_write_errors, write_text
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import sanitize_text

_PACKAGE = Path(layercli.__file__).parent
_DATA_SCRIPT = "make_data.py"
"""The file of the examples that writes the folder ``data``."""


class Example(NamedTuple):
    """An example config."""

    name: str
    summary: str
    """The first sentence of its first comment."""
    path: Path

    @property
    def code_files(self) -> list[str]:
        """The Python files that it names, which are next to it."""
        names = re.findall(r"\b(\w+\.py)\b", _adapt_comments(self.path.read_text(encoding="utf-8")))
        return list(dict.fromkeys(names))

    @property
    def data_patterns(self) -> list[str]:
        """The paths below ``data`` that it reads; ``*`` means any name."""
        paths = re.findall(r"\bdata/([\w.*-]+)", self.path.read_text(encoding="utf-8"))
        return list(dict.fromkeys(path.rstrip(".") for path in paths))


def find_examples_folder() -> Path:
    """Return the folder of the examples: in the installed package, or ``configs`` of the repository."""
    installed = _PACKAGE / "examples"
    return installed if installed.is_dir() else _PACKAGE.parent / "configs"


def list_examples() -> list[Example]:
    """Return the example configs, sorted by name."""
    examples = []
    for path in sorted(find_examples_folder().glob("*.yaml")):
        comment = re.match(r"(?:#.*\n)+", path.read_text(encoding="utf-8"))
        text = " ".join(re.findall(r"^# ?(.*)$", comment[0] if comment else "", re.MULTILINE))
        examples.append(Example(path.stem, re.split(r"(?<=[.?])\s", text)[0], path))
    return examples


def find_example(name: str) -> Example:
    """Return the example config with this name.

    Raises:
        LayercliError: There is none.
    """
    examples = {example.name: example for example in list_examples()}
    example = examples.get(name.removesuffix(".yaml"))
    if example is None:
        hint = did_you_mean(name, examples, otherwise="`layercli init --example` lists the examples.")
        message = f'No example has the name "{sanitize_text(name, limit=60)}".'
        raise LayercliError(Problem(code="unknown-example", message=message, hint=hint))
    return example


def write_example(example: Example, output: Path, *, force: bool) -> list[Path]:
    """Write an example config, and its Python files and data next to it. Return the files and folders next to it.

    Raises:
        LayercliError: A file exists with a different content, and ``force`` is false; or a file cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="layercli-") as directory:
        made = Path(directory) / "data"
        sources = [(example.path.with_name(name), Path(name)) for name in example.code_files]
        if example.data_patterns:
            _make_data(made)
            sources += [
                (source, Path("data") / source.name)
                for pattern in example.data_patterns
                for source in sorted(made.glob(pattern))
            ]
        targets = [(source, output.parent / name) for source, name in sources]
        for file, target in targets if not force else ():
            _require_no_other_content(file, target)
        with report_write_errors("The example", output):
            for source, target in targets:
                target.parent.mkdir(exist_ok=True)
                if source.is_dir():
                    shutil.copytree(source, target, dirs_exist_ok=True)
                else:
                    shutil.copyfile(source, target)
            write_text(output, _adapt_comments(example.path.read_text(encoding="utf-8")))
    return [target for _, target in targets]


def _require_no_other_content(source: Path, target: Path) -> None:
    """Check that a file or folder that would be written does not exist, or has the same content."""
    files = sorted(file for file in source.rglob("*") if file.is_file()) if source.is_dir() else [source]
    for file in files:
        existing = target / file.relative_to(source)
        if existing.exists() and (not existing.is_file() or existing.read_bytes() != file.read_bytes()):
            message = "The example has a file with this name, and this one has a different content."
            hint = "Write the example to a different folder with --output, or pass --force to overwrite the file."
            raise make_file_error(sanitize_text(str(existing)), "cannot-write", message, hint)


def _make_data(folder: Path) -> None:
    """Write the data of all examples to a folder, which is created."""
    spec = importlib.util.spec_from_file_location("make_data", find_examples_folder() / _DATA_SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(folder)


def _adapt_comments(text: str) -> str:
    """Return the text of an example without what its comments say about the repository."""
    text = re.sub(r"^(#.*?) ?`python configs/make_data\.py` writes [^.]*\.", r"\1", text, flags=re.MULTILINE)
    text = re.sub(r"^(#.*) configs/", r"\1 ", text, flags=re.MULTILINE)
    return re.sub(r"^#\n", "", text, flags=re.MULTILINE)
