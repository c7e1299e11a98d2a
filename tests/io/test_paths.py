"""Paths of files that may have any name."""

import os

from layercli.io.paths import describe_missing_file, hash_file, is_file, shorten_paths


def test_regular_files_folders_and_impossible_names(tmp_path):
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe")
    paths = [tmp_path / name for name in ("file", "absent", "pipe", "x" * 5000, "a\0b")] + [tmp_path]
    assert [is_file(path) for path in paths] == [True, False, False, False, False, False]
    absent, irregular = "does not exist", "is not a regular file"
    assert [describe_missing_file(path) for path in paths] == [
        None,
        absent,
        irregular,
        absent,
        absent,
        "is a folder, not a file",
    ]


def test_hash_of_a_known_text(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    # The one-block example of FIPS 180-2, appendix B.1.
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert hash_file(tmp_path / "file") == expected


def test_paths_below_the_current_folder_and_home_are_shortened(tmp_path, monkeypatch):
    home, folder = tmp_path / "home", tmp_path / "home" / "models"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(home))
    text = f"path: [{folder}/a.csv, '{home}/data/b.csv', {home}, /mnt{folder}/c.csv, {tmp_path}/d.csv]"
    assert shorten_paths(text) == (
        f"path: [a.csv, '~/data/b.csv', {home}, /mnt{folder}/c.csv, {tmp_path}/d.csv]"
    )
    monkeypatch.chdir("/")
    assert shorten_paths("/mnt/e.csv") == "/mnt/e.csv"
