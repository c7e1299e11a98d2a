"""The commit of a config, also in repositories whose settings name programs."""

import os
import shutil
import subprocess

import pytest

from layercli.runs import git_state
from layercli.runs.git_state import GitState, parse_git_state, read_git_state

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def run_git(folder, *arguments):
    environment = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    settings = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    command = ["git", "-C", str(folder), *settings, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "project"
    (root / "configs").mkdir(parents=True)
    (root / "configs/a.yaml").write_text("a: 1\n")
    (root / "code.py").write_text("x = 1\n")
    run_git(root, "init")
    run_git(root, "add", ".")
    run_git(root, "commit", "-m", "First")
    return root


def test_commit_of_a_config_below_the_root(repository):
    commit = run_git(repository, "rev-parse", "HEAD")
    (repository / "untracked.csv").write_text("1\n")
    assert read_git_state(repository / "configs/a.yaml") == GitState(commit, is_dirty=False)


@pytest.mark.parametrize("change", ["changed", "deleted", "staged", "untracked config"])
def test_changed_files_and_untracked_configs_are_dirty(repository, change):
    config = repository / "configs/a.yaml"
    if change == "deleted":
        (repository / "code.py").unlink()
    elif change == "untracked config":
        config = repository / "b.yaml"
        config.write_text("b: 1\n")
    else:
        (repository / "code.py").write_text("x = 2\n")
    if change == "staged":
        run_git(repository, "add", ".")
    assert read_git_state(config).is_dirty is True


def test_file_with_a_new_date_and_the_same_content_is_clean(repository):
    os.utime(repository / "code.py", (1, 1))
    assert read_git_state(repository / "configs/a.yaml").is_dirty is False


def test_packed_branches_detached_heads_and_worktrees(repository, tmp_path):
    commit = run_git(repository, "rev-parse", "HEAD")
    run_git(repository, "pack-refs", "--all")
    assert read_git_state(repository / "configs/a.yaml") == GitState(commit, is_dirty=False)
    run_git(repository, "worktree", "add", "-b", "other", str(tmp_path / "tree"))
    assert read_git_state(tmp_path / "tree/configs/a.yaml") == GitState(commit, is_dirty=False)
    run_git(repository, "checkout", "--detach")
    assert read_git_state(repository / "configs/a.yaml") == GitState(commit, is_dirty=False)


@pytest.mark.parametrize("place", ["fsmonitor", "filter", "hook", "alias"])
def test_programs_that_a_repository_names_do_not_run(repository, tmp_path, place):
    mark = tmp_path / "ran"
    program = tmp_path / "program.sh"
    program.write_text(f"#!/bin/sh\ntouch '{mark}'\ncat\n")
    program.chmod(0o755)
    if place == "fsmonitor":
        run_git(repository, "config", "core.fsmonitor", str(program))
    elif place == "filter":
        run_git(repository, "config", "filter.x.clean", str(program))
        run_git(repository, "config", "filter.x.required", "true")
        (repository / ".gitattributes").write_text("* filter=x\n")
    elif place == "hook":
        (repository / ".git/hooks").mkdir(exist_ok=True)
        shutil.copy(program, repository / ".git/hooks/post-index-change")
    else:
        run_git(repository, "config", "alias.status", f"!{program}")
    (repository / "code.py").write_text("x = 3\n")
    assert read_git_state(repository / "configs/a.yaml").is_dirty is True
    assert not mark.exists()


def test_state_is_that_of_the_config_and_not_of_the_environment(repository, tmp_path, monkeypatch):
    commit = run_git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    assert read_git_state(repository / "configs/a.yaml") == GitState(commit, is_dirty=False)


def test_without_git_or_time_the_state_of_the_files_is_unknown(repository, monkeypatch):
    commit = run_git(repository, "rev-parse", "HEAD")
    with monkeypatch.context() as patch:
        patch.setattr(git_state, "_SECONDS", 0)
        assert read_git_state(repository / "configs/a.yaml") == GitState(commit, is_dirty=None)
    monkeypatch.setenv("PATH", "")
    assert read_git_state(repository / "configs/a.yaml") == GitState(commit, is_dirty=None)


@pytest.mark.parametrize(
    "content",
    [
        {"HEAD": "ref: refs/heads/../../../secret\n"},
        {"HEAD": "ref: /etc/passwd\n"},
        {"HEAD": "ref: refs/heads/none\n"},
        {"HEAD": "nonsense\n"},
        {"HEAD": "\xff" * 50},
        {},
    ],
)
def test_damaged_repositories_have_no_commit(tmp_path, content):
    (tmp_path / ".git/refs/heads").mkdir(parents=True)
    (tmp_path / "secret").write_text("a" * 40)
    for name, text in content.items():
        (tmp_path / ".git" / name).write_text(text, encoding="latin-1")
    (tmp_path / "a.yaml").write_text("")
    assert read_git_state(tmp_path / "a.yaml") is None


def test_pipes_in_a_repository_are_not_read(tmp_path):
    (tmp_path / ".git").mkdir()
    os.mkfifo(tmp_path / ".git/HEAD")
    (tmp_path / "a.yaml").write_text("")
    assert read_git_state(tmp_path / "a.yaml") is None


def test_config_that_is_not_a_file_has_no_commit(repository, monkeypatch):
    monkeypatch.chdir(repository)
    assert read_git_state(repository / "<stdin>") is None


@pytest.mark.parametrize("git_entry", [None, [], {"commit": 3}, {"dirty": True}])
def test_malformed_entries_of_a_manifest_are_ignored(git_entry):
    assert parse_git_state({"git": git_entry}) is None


def test_entry_of_a_manifest_is_read():
    assert parse_git_state({"git": {"commit": "ab", "dirty": "x"}}) == {"commit": "ab", "dirty": None}


@pytest.mark.parametrize(("key", "value"), [("core.fileMode", "false"), ("core.autocrlf", "true")])
def test_settings_of_the_file_system_are_used(repository, key, value):
    run_git(repository, "config", key, value)
    config = repository / "configs/a.yaml"
    if key == "core.fileMode":
        config.chmod(0o755)
    else:
        config.unlink()
        run_git(repository, "checkout", "configs/a.yaml")
        assert config.read_bytes() == b"a: 1\r\n"
    state = read_git_state(config)
    assert state is not None
    assert state.is_dirty is False


@pytest.mark.parametrize(("limit", "is_read"), [(40, True), (39, False)])
def test_files_of_a_repository_have_a_largest_size(tmp_path, monkeypatch, limit, is_read):
    monkeypatch.setattr(git_state, "_MAX_BYTES", limit)
    (tmp_path / "HEAD").write_text("0" * 40)
    if is_read:
        assert git_state._read_commit(tmp_path, tmp_path) == "0" * 40
    else:
        with pytest.raises(ValueError, match="too large"):
            git_state._read_commit(tmp_path, tmp_path)


def test_packed_branch_is_found_by_its_whole_name(tmp_path):
    (tmp_path / "HEAD").write_text("ref: refs/heads/main\n")
    packed = tmp_path / "packed-refs"
    packed.write_text(f"# pack-refs with: peeled\n{'1' * 40} refs/heads/mainly\n{'2' * 40} refs/heads/main\n")
    assert git_state._read_commit(tmp_path, tmp_path) == "2" * 40
    packed.write_text("short refs/heads/main\n")
    assert git_state._read_commit(tmp_path, tmp_path) is None
    for reference in ("heads/main", "refs/../../x", "refs/heads/none"):
        (tmp_path / "HEAD").write_text(f"ref: {reference}\n")
        assert git_state._read_commit(tmp_path, tmp_path) is None
