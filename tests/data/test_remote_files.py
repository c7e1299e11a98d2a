"""Remote files: read once for each version, with the faults of networks and permissions as errors of the config."""

import json
import shutil
from types import SimpleNamespace

import pyarrow.fs
import pytest

from layercli.check import check_config, require_valid
from layercli.data import remote_files
from layercli.data.paths import expand_paths
from layercli.data.types import DataError
from layercli.formats.registry import make_data_script
from layercli.script.facts import ScriptFacts
from tests.running import invoke, problems
from tests.s3_server import serve_objects

ROWS = "a,b,y\n" + "".join(f"{number},{number % 7},{number % 2}\n" for number in range(60))
CONFIG = """data: {type: csv, path: "s3://bucket/train.csv", target: y, split: {validation: 10}}
model: {input: [2], layers: [{type: Dense, units: 1, activation: sigmoid}]}
train: {epochs: 1, loss: binary_crossentropy}
"""
PATH = ("data", "path")


@pytest.fixture(scope="module")
def server():
    with serve_objects() as storage:
        yield storage


@pytest.fixture
def storage(server, monkeypatch, tmp_path):
    server.objects, server.status, server.lost_reads = {"bucket/train.csv": ROWS.encode()}, None, 0
    server.requests.clear()
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_NO_SIGN_REQUEST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "topsecret")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(remote_files, "_PAUSE_SECONDS", 0)
    monkeypatch.setattr(remote_files, "_addresses", {})
    remote_files._fetch.cache_clear()
    yield server
    remote_files._fetch.cache_clear()


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text(CONFIG)
    return file


def fetch_address(address):
    [path] = expand_paths([address], PATH)
    return path


def find_fault(address, path=PATH):
    with pytest.raises(DataError) as caught:
        fetch_address(address)
    [finding] = caught.value.findings
    assert (finding.code, finding.path) == ("unreadable-data", path)
    return finding


def count_reads(storage):
    return sum(request == "GET bucket/train.csv" for request in storage.requests)


def test_file_is_copied_once_for_each_version(storage):
    path = fetch_address("s3://bucket/train.csv")
    assert path.read_text() == ROWS
    assert path.name.endswith("-train.csv")
    assert (fetch_address("s3://bucket/train.csv"), count_reads(storage)) == (path, 1)
    remote_files._fetch.cache_clear()  # as in a new process
    assert (fetch_address("s3://bucket/train.csv"), count_reads(storage)) == (path, 1)
    storage.objects["bucket/train.csv"] = ROWS.replace("59", "58").encode()
    remote_files._fetch.cache_clear()
    other = fetch_address("s3://bucket/train.csv")
    assert (other != path, "59" in other.read_text(), count_reads(storage)) == (True, False, 2)


def test_large_file_is_read_in_chunks(storage, monkeypatch):
    monkeypatch.setattr(remote_files, "_CHUNK_BYTES", 100)
    assert fetch_address("s3://bucket/train.csv").read_text() == ROWS
    assert count_reads(storage) == -(-len(ROWS) // 100)


def test_long_name_in_another_script_has_a_short_copy(storage):
    name = "表" * 100 + ".csv"
    storage.objects[f"bucket/{name}"] = ROWS.encode()
    assert fetch_address(f"s3://bucket/{name}").read_text() == ROWS


def test_pattern_matches_the_files_of_a_folder(storage):
    storage.objects = {"bucket/p/b-1.csv": b"1", "bucket/p/b-0.csv": b"0", "bucket/p/x.csv": b"x"}
    assert [path.read_text() for path in expand_paths(["s3://bucket/p/b-*.csv"], PATH)] == ["0", "1"]
    assert find_fault("s3://bucket/p/z*").message == "No file matches s3://bucket/p/z*."
    assert "wildcards before its last part" in find_fault("s3://bucket/*/x.csv").message


@pytest.mark.usefixtures("storage")
def test_missing_object_is_named():
    finding = find_fault("s3://bucket/none.csv")
    assert finding.message == "s3://bucket/none.csv does not exist."


@pytest.mark.parametrize(
    ("status", "reason", "hint"),
    [
        (403, "no permission, or it does not exist", "Check the credentials"),
        (301, "the bucket is in a different region", "Set AWS_REGION"),
    ],
)
def test_refused_requests_name_what_to_check(storage, status, reason, hint):
    storage.status = status
    finding = find_fault("s3://bucket/train.csv")
    assert reason in finding.message
    assert finding.hint.startswith(hint)
    assert "topsecret" not in finding.message + finding.hint


def test_lost_connection_is_tried_again(storage, monkeypatch):
    monkeypatch.setattr(remote_files, "_PAUSE_SECONDS", 0)
    storage.lost_reads = 1
    assert fetch_address("s3://bucket/train.csv").read_text() == ROWS


def test_connection_that_is_lost_again_and_again_is_an_error(storage, monkeypatch):
    monkeypatch.setattr(remote_files, "_PAUSE_SECONDS", 0)
    monkeypatch.setattr(remote_files, "_ATTEMPTS", 2)  # pyarrow pauses longer before each further one
    storage.lost_reads = 1000
    finding = find_fault("s3://bucket/train.csv")
    assert "the connection failed, even when it was tried again" in finding.message
    assert 1000 - storage.lost_reads <= 4  # two by us, each two times by pyarrow
    storage.lost_reads = 0
    assert fetch_address("s3://bucket/train.csv").read_text() == ROWS


def test_file_that_changes_while_it_is_read_is_an_error(storage, monkeypatch):
    original = remote_files._copy

    def copy_and_change(*args):
        original(*args)
        storage.objects["bucket/train.csv"] = b"other"

    monkeypatch.setattr(remote_files, "_copy", copy_and_change)
    assert "it was changed while it was read" in find_fault("s3://bucket/train.csv").message


def test_validate_opens_no_connection(storage, config):
    result = invoke("validate", config, "--json")
    assert (result.exit_code, storage.requests) == (0, [])


@pytest.mark.usefixtures("storage")
def test_inspect_data_and_init_read_addresses(config, tmp_path):
    document = json.loads(invoke("inspect-data", config, "--json").stdout)
    assert document["examples"] == {"train": 50, "validation": 10, "test": 0}
    result = invoke("init", "s3://bucket/train.csv", "--target", "y", "--output", tmp_path / "new.yaml")
    assert result.exit_code == 0, result.output
    assert "  path: s3://bucket/train.csv\n" in (tmp_path / "new.yaml").read_text().replace('"', "")
    assert invoke("validate", tmp_path / "new.yaml").exit_code == 0


def test_init_reads_a_pattern(storage, tmp_path):
    storage.objects["bucket/train2.csv"] = ROWS.encode()
    result = invoke("init", "s3://bucket/train*.csv", "--target", "y", "--output", tmp_path / "new.yaml")
    assert result.exit_code == 0, result.output
    assert "Read 120 rows." in result.output
    text = (tmp_path / "new.yaml").read_text()
    assert ("s3://bucket/train.csv" in text, "s3://bucket/train2.csv" in text) == (True, True)


@pytest.mark.usefixtures("storage")
def test_cached_copies_are_private():
    folder = fetch_address("s3://bucket/train.csv").parent
    assert folder.stat().st_mode & 0o077 == 0


def test_errors_of_the_content_name_the_address(storage, config):
    storage.objects["bucket/train.csv"] = ROWS.replace("59,", "x,").encode()
    result = invoke("inspect-data", config, "--json")
    assert result.exit_code == 1
    messages = [problem["message"] for problem in json.loads(result.stdout)["problems"]]
    assert any("s3://bucket/train.csv" in message for message in messages)
    assert not any("cache" in message for message in messages)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("s3://key:hidden@bucket/a.csv", "An address must not contain credentials"),
        ("s3://bucket/a.csv?secret_key=hidden", "An address must not contain credentials"),
        ("s3://bucket", "s3://bucket names no file in a bucket."),
        ("https://me:hidden@x.org/a.csv", "Data cannot be read from https:// addresses"),
        ("hf://datasets/a.csv", "Data cannot be read from hf:// addresses"),
        ("file:///etc/passwd", "Data cannot be read from file:// addresses"),
    ],
)
@pytest.mark.parametrize("key", ["path", "split"])
def test_addresses_are_checked_without_a_connection(storage, config, path, message, key):
    text = CONFIG.replace("s3://bucket/train.csv", path)
    if key == "split":
        text = CONFIG.replace("validation: 10", f'validation: "{path}"')
    config.write_text(text)
    result = invoke("validate", config, "--json")
    assert problems(result) == [("bad-argument", 1)]
    assert message in json.loads(result.stdout)["problems"][0]["message"]
    assert "hidden" not in invoke("validate", config).output + result.output
    assert storage.requests == []


def test_folders_of_images_and_texts_must_be_local(config):
    labels = "{path: s3://b/labels.csv, file: f, target: t}"
    for data in (
        "{type: images, path: s3://b/images}",
        "{type: text, path: s3://b/texts}",
        f"{{type: images, path: images, labels: {labels}}}",
        "{type: images, path: images, masks: {path: s3://b/masks}}",
    ):
        config.write_text(f"data: {data}\nmodel: {{input: [4], layers: [{{type: Dense, units: 1}}]}}\n")
        [problem] = json.loads(invoke("validate", config, "--json").stdout)["problems"]
        assert "must be in a local folder, got s3://b/" in problem["message"]


def test_credentials_of_an_option_are_not_printed(config):
    result = invoke("validate", config, "--set", "data.path=s3://key:hidden@bucket/a.csv")
    assert result.exit_code == 1
    assert "hidden" not in result.output


def test_script_cannot_express_an_address(config):
    valid = require_valid(check_config(str(config)))
    script = make_data_script(valid, ScriptFacts({}))
    assert script is not None
    assert list(script.find_inexpressible()) == [("data", "path")]


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "CONFIG", "--run-dir", "s3://bucket/runs"),
        ("crossval", "CONFIG", "--folds", "2", "--run-dir", "s3://bucket/runs"),
        ("evaluate", "s3://bucket/runs"),
    ],
)
def test_runs_are_local(config, arguments):
    result = invoke(*(str(config) if each == "CONFIG" else each for each in arguments), "--json")
    assert problems(result) == [("run-directory", None)]
    assert "A run directory must be a local or mounted path, got s3://bucket/runs." in result.output


class FailingFile:
    """A file of which the first reads fail."""

    def __init__(self, failures):
        self.failures = failures

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def read_at(self, count, offset):
        if self.failures:
            self.failures -= 1
            raise OSError("lost")
        return b"0123456789"[offset : offset + count]


@pytest.mark.parametrize(("failures", "is_read"), [(0, True), (2, True), (3, False)])
def test_each_piece_is_tried_three_times(tmp_path, monkeypatch, failures, is_read):
    monkeypatch.setattr(remote_files, "_PAUSE_SECONDS", 0)
    monkeypatch.setattr(remote_files, "_CHUNK_BYTES", 4)
    storage = SimpleNamespace(open_input_file=lambda _: FailingFile(failures))
    target = tmp_path / "copy"
    if is_read:
        remote_files._copy(storage, "a", 10, target)
        assert target.read_bytes() == b"0123456789"
    else:
        with pytest.raises(OSError, match="lost"):
            remote_files._copy(storage, "a", 10, target)


@pytest.mark.usefixtures("storage")
def test_full_disk_is_an_error_of_the_cache(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=len(ROWS) - 1))
    finding = find_fault("s3://bucket/train.csv", path=("data",))
    assert "cannot be written: No space left on device" in finding.message


@pytest.fixture
def opened(monkeypatch):
    """The arguments with which pyarrow's file systems are created."""
    found = []
    for name in ("S3FileSystem", "GcsFileSystem"):
        monkeypatch.setattr(pyarrow.fs, name, lambda _name=name, **options: found.append((_name, options)))
    monkeypatch.setattr(pyarrow.fs, "resolve_s3_region", lambda bucket: f"region of {bucket}")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_NO_SIGN_REQUEST", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    return found


def test_region_is_that_of_the_bucket_unless_it_is_set(opened, monkeypatch):
    assert remote_files._open_filesystem("s3://bucket/a/b.csv")[1] == "bucket/a/b.csv"
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "YES")
    remote_files._open_filesystem("s3://bucket/b.csv")
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://minio.example:9000")
    remote_files._open_filesystem("s3://bucket/b.csv")
    assert [(options["region"], options["anonymous"]) for _, options in opened] == [
        ("region of bucket", False),
        ("eu-west-1", True),
        (None, True),
    ]
    assert "endpoint_override" not in opened[0][1]
    assert (opened[2][1]["endpoint_override"], opened[2][1]["scheme"]) == ("minio.example:9000", "https")


def test_google_storage_uses_its_credentials_except_in_an_emulator(opened, monkeypatch):
    assert remote_files._open_filesystem("gs://bucket/b.csv")[1] == "bucket/b.csv"
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:4443")
    remote_files._open_filesystem("gs://bucket/b.csv")
    assert [(name, options["anonymous"]) for name, options in opened] == [
        ("GcsFileSystem", False),
        ("GcsFileSystem", True),
    ]
