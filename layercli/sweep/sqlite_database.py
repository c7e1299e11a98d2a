"""A SQLite file as the storage of a sweep, which may be from elsewhere: only the tables of Optuna, and bounded work."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from layercli.io.regular import IrregularFileError, open_regular

_MAX_BYTES: Final = 256 << 20
"""Largest file; a trial takes a few kilobytes."""
_MAX_ROWS: Final = 2_000_000
"""Most rows of all tables; each takes up to a kilobyte of memory."""
_MAX_VALUE_BYTES: Final = 16 << 20
"""Largest value and statement."""
_MAX_SCHEMA_ENTRIES: Final = 100
_CHECK_SECONDS: Final = 20.0
"""Longest time of a statement of the check."""
_PROGRESS_STEPS: Final = 100_000
"""Instructions of SQLite between two looks at the clock."""
_TIMEOUT_SECONDS: Final = 5.0
"""Time to wait for another process, which is sqlite3's default."""
_SUPER_JOURNAL_MARK: Final = bytes.fromhex("d9d505f920a163d7")
"""End of a journal that names a file, which SQLite would remove."""
_COMPANIONS: Final = ("-journal", "-wal", "-shm")
_VERSION_TABLE: Final = "alembic_version"
_KNOWN_CHECK: Final = re.compile(r"CHECK \(\w+ ?(IN \('\w+'(, ?'\w+')*\)|= ?\d+)\)", re.ASCII)
"""The only conditions that Optuna's tables can have: a list of names, or a number."""


class DatabaseError(ValueError):
    """A database that is not the storage of a sweep, or is too large."""


def find_sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite URL; None for another database, or one in memory.

    Raises:
        DatabaseError: The URL has options of SQLite.
    """
    import sqlalchemy

    try:
        parsed = sqlalchemy.engine.make_url(url)
        backend = parsed.get_backend_name()
    except (sqlalchemy.exc.ArgumentError, ValueError):
        return None  # Optuna reports it
    if backend != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    if parsed.query or str(parsed.database).startswith("file:"):
        raise DatabaseError("a SQLite URL must be only a path, such as sqlite:///sweep.db.")
    return Path(str(parsed.database))


def make_connector(path: Path) -> Callable[[], sqlite3.Connection]:
    """Return the function that opens connections to a database, after a check of the file if it exists.

    Raises:
        DatabaseError: The file has anything but the tables of Optuna, or is too large.
        OSError: It, or a file of SQLite next to it, is not regular or cannot be read.
        sqlite3.Error: It is damaged, or not a database.
    """
    if path.exists() or path.is_symlink():
        path = path.resolve(strict=True)
        _require_regular_files(path)
        _check_content(path)
    return lambda: _connect(path)


def _require_regular_files(path: Path) -> None:
    for suffix in ("", *_COMPANIONS):
        file = path.with_name(path.name + suffix)
        if suffix and file.is_symlink():
            raise IrregularFileError(file, file.lstat().st_mode)
        if suffix and not file.exists():
            continue
        with open_regular(file) as opened:
            size = opened.seek(0, 2)
            if size > _MAX_BYTES:
                raise DatabaseError(f"{file.name} has {size:,} bytes; the maximum is {_MAX_BYTES:,}.")
            opened.seek(max(0, size - len(_SUPER_JOURNAL_MARK)))
            if suffix == _COMPANIONS[0] and opened.read() == _SUPER_JOURNAL_MARK:
                raise DatabaseError(f"{file.name} names a file, which SQLite would remove.")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_TIMEOUT_SECONDS, check_same_thread=False)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    for setting in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0"):
        connection.execute(f"PRAGMA {setting}").close()
    return connection


def _check_content(path: Path) -> None:
    deadline = time.monotonic() + _CHECK_SECONDS
    connection = _connect(path)
    try:
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _PROGRESS_STEPS)
        connection.execute("PRAGMA query_only=ON")
        _check_schema(connection)
        problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise DatabaseError(f"the file is damaged: {str(problem)[:100]}.")
        rows = sum(_count_rows(connection, name) for name in _list_tables(connection))
        if rows > _MAX_ROWS:
            raise DatabaseError(f"it has {rows:,} rows; the maximum is {_MAX_ROWS:,}.")
    finally:
        connection.close()


def _list_tables(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]


def _count_rows(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0])  # noqa: S608 - a known name


def _check_schema(connection: sqlite3.Connection) -> None:
    """Check that a database has only tables, columns and indexes that Optuna creates.

    Raises:
        DatabaseError: It has something else.
    """
    columns = _list_known_columns()
    entries = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema").fetchmany(
        _MAX_SCHEMA_ENTRIES + 1
    )
    if len(entries) > _MAX_SCHEMA_ENTRIES:
        raise DatabaseError(f"it has more than {_MAX_SCHEMA_ENTRIES} tables and indexes.")
    for kind, name, table, sql in entries:
        shown = f"the {kind} {str(name)[:60]}"
        if kind not in ("table", "index") or table not in columns or (kind == "table" and name != table):
            raise DatabaseError(f"it has {shown}, which no sweep creates.")
        if kind == "index":
            parts = connection.execute("SELECT cid FROM pragma_index_xinfo(?)", (name,)).fetchall()
            is_partial = re.search(r"\bWHERE\b", sql or "", re.IGNORECASE) is not None
            if is_partial or any(cid == -2 for (cid,) in parts):
                raise DatabaseError(f"it has {shown} of an expression, which no sweep creates.")
            continue
        _check_table(connection, table, str(sql), columns[table])


def _check_table(connection: sqlite3.Connection, table: str, sql: str, known: frozenset[str]) -> None:
    """Check that a table is an ordinary one, without expressions that SQLite would evaluate.

    Raises:
        DatabaseError: It is a virtual one, or has other columns or expressions.
    """
    kinds = connection.execute("SELECT type FROM pragma_table_list(?)", (table,)).fetchall()
    found = connection.execute(
        "SELECT name, dflt_value, hidden FROM pragma_table_xinfo(?)", (table,)
    ).fetchall()
    is_plain = kinds == [("table",)] and all(value is None and hidden == 0 for _, value, hidden in found)
    has_conditions = re.search(r"\bCHECK\b", _KNOWN_CHECK.sub("", sql), re.IGNORECASE) is not None
    if not is_plain or has_conditions or not {name for name, _, _ in found} <= known:
        raise DatabaseError(f"its table {table} is not the one that a sweep creates.")


def _list_known_columns() -> dict[str, frozenset[str]]:
    """Return the columns of each of Optuna's tables."""
    from optuna.storages._rdb.models import BaseModel

    tables: Any = BaseModel.metadata.tables
    known = {name: frozenset(column.name for column in table.columns) for name, table in tables.items()}
    return {**known, _VERSION_TABLE: frozenset({"version_num"})}
