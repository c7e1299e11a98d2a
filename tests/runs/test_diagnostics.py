import json

from layercli.runs.diagnostics import keep_diagnostics, read_diagnostics

LAYER = dict.fromkeys(("mean", "std", "dead", "saturated", "gradient_norm", "weight_norm", "update_ratio"))


def line(epoch, **changes):
    document = {"epoch": epoch, "inputs": [], "layers": [{"layer": "dense", **LAYER, "mean": 0.5}]}
    return json.dumps(document | changes) + "\n"


def write(path, *lines):
    (path / "diagnostics.jsonl").write_text("".join(lines))


def test_records_are_read_in_order_without_damaged_and_repeated_lines(tmp_path):
    bad_layers = [[{"layer": "dense"}], [{**LAYER, "layer": 3}], [{**LAYER, "layer": "a", "mean": "x"}], {}]
    damaged = [line(1, layers=layers) for layers in bad_layers]
    write(tmp_path, line(0), "{}\n", *damaged, line(1), line(1), "[1,\n", line(True), line(2), line(3)[:-5])
    assert [record["epoch"] for record in read_diagnostics(tmp_path)] == [0, 1, 2]


def test_missing_file_has_no_records(tmp_path):
    keep_diagnostics(tmp_path, epochs=3)
    assert list(read_diagnostics(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_link_is_not_followed(tmp_path):
    (tmp_path / "other").write_text(line(0))
    (tmp_path / "diagnostics.jsonl").symlink_to(tmp_path / "other")
    keep_diagnostics(tmp_path, epochs=-1)
    assert list(read_diagnostics(tmp_path)) == []
    assert (tmp_path / "other").read_text() == line(0)


def test_records_after_a_number_of_epochs_are_removed(tmp_path):
    write(tmp_path, line(0), line(1), line(2), line(3)[:9])
    keep_diagnostics(tmp_path, epochs=1)
    assert (tmp_path / "diagnostics.jsonl").read_text() == line(0) + line(1)
    keep_diagnostics(tmp_path, epochs=-1)
    assert (tmp_path / "diagnostics.jsonl").read_text() == ""


def test_epochs_count_from_zero(tmp_path):
    write(tmp_path, line(-1), line(0))
    assert [record["epoch"] for record in read_diagnostics(tmp_path)] == [0]
