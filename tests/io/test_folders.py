"""Files below a folder: links are followed only where they cannot lead around in circles."""

from layercli.io.folders import list_folders, walk_files


def test_links_to_a_folder_around_the_data_are_not_followed(tmp_path):
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    for folder in (data / "cat", elsewhere):
        folder.mkdir(parents=True)
        (folder / "1.png").touch()
    (data / "dog").symlink_to(elsewhere)  # a class on another disk
    for name, target in (("root", "/"), ("around", tmp_path), ("self", data), ("loop", "loop")):
        (data / name).symlink_to(target)
    (elsewhere / "deeper").symlink_to(tmp_path)
    assert list_folders(data) == ["cat", "dog"]
    assert [*walk_files(data)] == [data / "cat" / "1.png", data / "dog" / "1.png"]
