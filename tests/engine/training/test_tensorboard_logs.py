"""The event files of TensorBoard: texts, and no step twice after a resume."""

from pathlib import Path

import pytest
import tensorflow as tf
from tensorboard.compat.proto.event_pb2 import Event

from layercli.engine.training.tensorboard_logs import restore_event_files, start_event_files, write_texts
from tests.running import invoke, train, write_config

HEAD = {"type": "Dense", "units": 3, "activation": "softmax"}


def read_events(folder):
    """Return (tag, step) of each value in the event files of a folder."""
    found = []
    for file in sorted(Path(folder).rglob("events*")):
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            event = Event.FromString(record)
            found += [(value.tag, event.step) for value in event.summary.value]
    return found


def test_resumed_training_has_each_step_once(tmp_path):
    section = {"epochs": 2, "loss": "sparse_categorical_crossentropy", "callbacks": ["TensorBoard"]}
    config = write_config(tmp_path, [HEAD], train=section)
    run = tmp_path / "run"
    assert train(config, run).result.exit_code == 0
    first = read_events(run / "logs")
    assert [step for tag, step in first if tag == "epoch_loss"] == [0, 1, 0, 1]  # train, validation
    assert {("config", 0), ("results", 2), ("test_loss", 2), ("keras", 0)} <= set(first)
    write_texts(run / "logs", {}, {"epoch_loss": 9.0}, step=2)  # of an epoch that a kill lost
    result = invoke("train", "--resume", run, "--set", "train.epochs=3")
    assert result.exit_code == 0, result.output
    events = read_events(run / "logs")
    assert sorted(step for tag, step in events if tag == "epoch_loss") == [0, 0, 1, 1, 2, 2]
    texts = [event for event in events if event[0] in ("config", "keras", "results")]
    assert sorted(texts) == [("config", 0), ("keras", 0), ("results", 3)]


def test_files_are_cut_to_the_sizes_of_the_checkpoint(tmp_path):
    write_texts(tmp_path, {}, {"a": 1.0}, step=1)
    [file] = tmp_path.rglob("events*")
    size = file.stat().st_size
    with file.open("ab") as opened:
        opened.write(b"lost")
    other = tmp_path / "validation/events.out.tfevents.2"
    other.parent.mkdir()
    other.write_bytes(b"x")
    notes = tmp_path / "notes.txt"
    notes.write_text("kept")
    restore_event_files(tmp_path, {file.relative_to(tmp_path).as_posix(): size})
    assert read_events(tmp_path) == [("a", 1)]
    assert (file.stat().st_size, other.exists(), notes.exists()) == (size, False, True)


@pytest.mark.parametrize("size", [-1, "3", None, True, 1.5])
def test_malformed_sizes_are_refused(tmp_path, size):
    with pytest.raises(ValueError, match="malformed"):
        restore_event_files(tmp_path, {"events.out.tfevents.1": size})


def test_restart_from_scratch_removes_earlier_events(tmp_path):
    write_texts(tmp_path, {}, {"epoch_loss": 9.0}, step=4)
    start_event_files(tmp_path, "name: a\n")
    assert read_events(tmp_path) == [("config", 0)]
