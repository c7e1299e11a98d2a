"""Damaged archives raise only the errors that commands report."""

import io
import random
import re
import zipfile
from contextlib import suppress

import h5py
import numpy as np
import pytest

from layercli.config.data.section import DATA_TYPES
from layercli.data.statistics import compute_statistics
from layercli.data.types import DataError
from layercli.formats.registry import load_dataset
from layercli.io.archives import Archive, ArchiveError, check_hdf5, read_npz
from tests.security.mutate import damage_bytes, list_seeds

LIMIT = 1 << 24
COUNT = 150


def damaged(content, name):
    """Yield damaged contents; half of them are damaged inside their members."""
    for seed in list_seeds(COUNT):
        rng = random.Random(f"{name} {seed}")
        if rng.random() < 0.5 or name == "hdf5":
            yield damage_bytes(content, rng)
            continue
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(info, archive.read(info)) for info in archive.infolist()]
        changed = rng.randrange(len(members))
        output = io.BytesIO()
        with zipfile.ZipFile(output, "w") as archive:
            for number, (info, member) in enumerate(members):
                archive.writestr(info, damage_bytes(member, rng) if number == changed else member)
        yield output.getvalue()


def make_npz(save):
    output = io.BytesIO()
    rng = np.random.default_rng(0)
    save(output, x=rng.normal(size=(20, 3)).astype("f4"), y=np.arange(20) % 2, t=np.array(["a", "bc"] * 10))
    return output.getvalue()


@pytest.mark.parametrize(("save", "features"), [(np.savez, "x"), (np.savez_compressed, "t")])
def test_damaged_npz_data_is_a_problem(tmp_path, monkeypatch, save, features):
    monkeypatch.chdir(tmp_path)
    section = DATA_TYPES.parse({"type": "npz", "path": "d.npz", "features": features, "target": "y"})
    with np.errstate(all="ignore"):
        for content in damaged(make_npz(save), save.__name__):
            (tmp_path / "d.npz").write_bytes(content)
            with suppress(DataError):
                compute_statistics(load_dataset(section, memory=1 << 30))


def test_damaged_checkpoint_arrays_are_refused():
    output = io.BytesIO()
    np.savez(output, x=np.zeros((20, 3), "f4"), y=np.arange(20))
    for changed in damaged(output.getvalue(), "checkpoint"):
        with suppress(ArchiveError):
            read_npz(io.BytesIO(changed), re.compile("[xy]"))


def test_damaged_zip_members_are_refused():
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", '{"a": [1, 2, 3]}' * 100)
        archive.writestr("assets/layers/look/vocabulary.txt", "a\nb\n")
    for changed in damaged(output.getvalue(), "zip"):
        with suppress(ArchiveError):
            archive = Archive(io.BytesIO(changed))
            for name in archive.names:
                assert len(archive.read(name, LIMIT)) <= LIMIT


def test_damaged_weights_are_refused_or_stay_small(tmp_path):
    path = tmp_path / "m.weights.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/dense/vars")
        group.attrs["name"] = "dense"
        group["0"], group["1"] = np.zeros((4, 8), "f4"), np.ones(8, "f4")
        file.create_dataset("big", data=np.zeros(5000), chunks=(1000,), compression="gzip")
    content = path.read_bytes()
    for changed in damaged(content, "hdf5"):
        path.write_bytes(changed)
        with suppress(ArchiveError):
            check_hdf5(path, LIMIT)
