"""A SQLite file from elsewhere is refused unless it has only the tables and values that a sweep writes."""

import os
import shutil
import sqlite3
from contextlib import closing

import optuna
import pytest

from layercli.errors import LayercliError
from layercli.sweep import sqlite_database
from layercli.sweep.plan import read_sweep_plan
from layercli.sweep.sqlite_database import find_sqlite_file
from layercli.sweep.study import open_study
from tests.running import IRIS

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

SWEEP = """
base: iris.yaml
name: s
space: {"model.layers[0].units": {int: [4, 32]}}
objective: {metric: val_accuracy, direction: maximize}
pruner: NopPruner
"""
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x AS"


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The plan of a sweep, and its database with a trial."""
    folder = tmp_path_factory.mktemp("sqlite")
    (folder / "iris.yaml").write_text(IRIS)
    (folder / "s.yaml").write_text(SWEEP)
    plan = read_sweep_plan(str(folder / "s.yaml"))[0]
    study = open_database(plan, folder / "stored.db")
    study.add_trial(
        optuna.trial.create_trial(
            params={"model.layers[0].units": 5},
            distributions={"model.layers[0].units": optuna.distributions.IntDistribution(4, 32)},
            value=0.5,
            intermediate_values={1: 0.4},
            user_attrs={"epoch": 1},
        )
    )
    study._storage._backend.engine.dispose()
    return plan, folder / "stored.db"


@pytest.fixture
def database(stored, tmp_path):
    return stored[0], shutil.copy(stored[1], tmp_path / "s.db")


def open_database(plan, path):
    study = open_study(plan, path.parent, f"sqlite:///{path}", heartbeat=20)
    study._storage._backend.engine.dispose()
    return study


def read_refusal(plan, path):
    with pytest.raises(LayercliError) as caught:
        open_database(plan, path)
    (problem,) = caught.value.problems
    assert problem.code == "sweep-storage"
    start = "The database of `--storage` cannot be used: "
    assert problem.message.startswith(start)
    return problem.message.removeprefix(start)


def test_own_database_is_opened_again(database):
    plan, path = database
    assert [trial.value for trial in open_database(plan, path).trials] == [0.5]


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        (
            f"DROP TABLE studies; CREATE VIEW studies AS {ENDLESS} study_id FROM c",
            "it has the view studies, which",
        ),
        ("CREATE TRIGGER t BEFORE INSERT ON trials BEGIN SELECT 1; END", "it has the trigger t, which"),
        ("CREATE TABLE other (x)", "it has the table other, which"),
        ("CREATE INDEX i ON trials (abs(number))", "it has the index i of an expression"),
        ("CREATE INDEX i ON trials (number) WHERE number > 1", "it has the index i of an expression"),
        ("ALTER TABLE trials ADD COLUMN x", "its table trials is not the one"),
        (
            "ALTER TABLE trials DROP COLUMN state; ALTER TABLE trials ADD COLUMN state AS (1)",
            "its table trials is not",
        ),
        (
            "DROP TABLE trial_heartbeats; CREATE TABLE trial_heartbeats (heartbeat DEFAULT (hex(9)))",
            "its table trial_h",
        ),
        (
            "DROP TABLE trial_values; CREATE TABLE trial_values (value CHECK (hex(value) > 1))",
            "its table trial_values",
        ),
        ("UPDATE study_user_attributes SET value_json = '[['", "Expecting value"),
        ("UPDATE trials SET state = 'XX'", "'XX' is not among the defined enum values"),
        ("UPDATE trials SET number = 'x'", "its trial 0 has the number x."),
        ("UPDATE trial_params SET param_name = 'x'", "'x'"),
        ("UPDATE trial_values SET value = 'x'", "its trial 0 has a value that is not a number."),
        (
            "UPDATE trial_intermediate_values SET step = 'x'",
            "its trial 0 has an epoch that is not an integer.",
        ),
        ("DELETE FROM trial_values", "its trial 0 must have a value for each objective."),
        ("DELETE FROM study_directions", "its study must have a direction for each objective."),
    ],
)
def test_database_with_other_content_is_refused(database, statement, reason):
    plan, path = database
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(statement)
    assert read_refusal(plan, path).startswith(reason)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("worker", "5"),
        ("run", "5"),
        ("problem", "[]"),
        ("epochs", "1.5"),
        ("loss", '"x"'),
        ("sizes", "[1]"),
        ("sizes", '{"flops": "x"}'),
        ("sizes", '{"exceeded": [{"limit": [], "value": 1, "maximum": 2}]}'),
        ("retry_history", '["x"]'),
    ],
)
def test_attributes_of_wrong_types_are_refused(database, name, value):
    plan, path = database
    table = "trial_system_attributes" if name == "retry_history" else "trial_user_attributes"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"INSERT INTO {table} (trial_id, key, value_json) VALUES (1, ?, ?)", (name, value))
        connection.commit()
    assert read_refusal(plan, path) == f"its trial 0 has an invalid value of `{name}`."


def test_limits_of_size_are_kept(database, monkeypatch):
    plan, path = database
    monkeypatch.setattr(sqlite_database, "_MAX_ROWS", 5)
    assert read_refusal(plan, path).endswith("rows; the maximum is 5.")
    os.truncate(path, 1 << 40)
    assert read_refusal(plan, path) == "s.db has 1,099,511,627,776 bytes; the maximum is 268,435,456."


def test_endless_statement_of_the_check_is_interrupted(database, monkeypatch):
    plan, path = database
    monkeypatch.setattr(sqlite_database, "_CHECK_SECONDS", -1.0)
    monkeypatch.setattr(sqlite_database, "_PROGRESS_STEPS", 1)
    assert read_refusal(plan, path) == "interrupted"


def test_files_next_to_the_database_are_regular(database):
    plan, path = database
    mark = bytes.fromhex(
        "d9d505f920a163d7"
    )  # sqlite.org/fileformat2.html, of a journal that names another one
    journal = path.with_name("s.db-journal")
    journal.write_bytes(b"x" * 100 + mark)
    assert read_refusal(plan, path) == "s.db-journal names a file, which SQLite would remove."
    journal.unlink()
    journal.symlink_to(path)
    assert read_refusal(plan, path) == "s.db-journal is a symbolic link."
    journal.unlink()
    os.mkfifo(path.with_name("s.db-wal"))
    assert read_refusal(plan, path) == "s.db-wal is a pipe."


def test_named_database_may_be_a_link_but_no_pipe(database, tmp_path):
    plan, path = database
    link = tmp_path / "link.db"
    link.symlink_to(path)
    assert len(open_database(plan, link).trials) == 1
    os.mkfifo(tmp_path / "pipe.db")
    assert read_refusal(plan, tmp_path / "pipe.db") == "pipe.db is a pipe."


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///a.db", "a.db"),
        ("sqlite+pysqlite:////x/a.db", "/x/a.db"),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("postgresql+psycopg://host/name", None),
        ("nonsense", None),
    ],
)
def test_file_of_a_url(url, file):
    found = find_sqlite_file(url)
    assert (None if found is None else str(found)) == file


@pytest.mark.parametrize("url", ["sqlite:///a.db?mode=ro", "sqlite:///file:a.db"])
def test_options_of_sqlite_are_refused(url):
    with pytest.raises(ValueError, match="must be only a path"):
        find_sqlite_file(url)
