"""Write the data files that some of these configs read, next to them, from the data sets of scikit-learn.

python configs/make_data.py
"""

import csv
import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import parquet
from sklearn import datasets

FRUIT = "apple pear plum cherry peach grape melon fig quince lemon"
ANIMALS = "cat dog horse cow goat hen duck sheep fox hare"
COMMON = "the a in on under near of and old new large small we saw had some many today again there"

HERE = Path(__file__).parent / "data"


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Images of shape (1797, 8, 8, 1) with values from 0 to 1, and their digits."""
    images, labels = datasets.load_digits(return_X_y=True)
    return images.reshape(-1, 8, 8, 1).astype("float32") / 16, labels.astype("int32")


def measures(images: np.ndarray) -> np.ndarray:
    """Return measures of each image: ink, its centre down and across, and its spread both ways; shape (samples, 5)."""
    ink = images[..., 0]
    total = ink.sum(axis=(1, 2))
    places = np.arange(8)
    centres, spreads = [], []
    for axis in (1, 2):
        along = ink.sum(axis=3 - axis) / total[:, None]
        centres.append((along * places).sum(axis=1))
        spreads.append(np.sqrt((along * (places - centres[-1][:, None]) ** 2).sum(axis=1)))
    return np.stack([total, *centres, *spreads], axis=1).astype("float32")


def pairs(images: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Pairs of images, half of them of the same digit."""
    left = rng.permutation(len(images)).repeat(3)
    same = rng.random(len(left)) < 0.5
    by_digit = [np.flatnonzero(labels == digit) for digit in range(10)]
    wanted = np.where(same, labels[left], (labels[left] + rng.integers(1, 10, len(left))) % 10)
    right = np.array([rng.choice(by_digit[digit]) for digit in wanted])
    return {"left": images[left], "right": images[right], "same": same.astype("int32")}


def stations(rng: np.random.Generator) -> list[list[object]]:
    """Hours of three stations, one hour of all after the other: station, temperature, pressure, wind; some are missing."""
    hours = np.arange(24 * 40)
    rows = []
    for number, name in enumerate(("coast", "hill", "town")):
        pressure = 1013 + np.cumsum(rng.normal(0, 0.5, len(hours)))
        wind = np.abs(rng.normal(4 + number, 2, len(hours)))
        day = (6 + number) * np.sin(2 * np.pi * (hours - 9) / 24)
        temperature = 12 - 2 * number + day + 0.2 * (pressure - 1013) + rng.normal(0, 0.4, len(hours))
        columns = [[name] * len(hours), *(column.round(1) for column in (temperature, pressure, wind))]
        rows.append(
            [[*row[:3], "NA" if rng.random() < 0.02 else row[3]] for row in zip(*columns, strict=True)]
        )
    return [row for hour in zip(*rows, strict=True) for row in hour]


def orders(rng: np.random.Generator, count: int) -> list[list[object]]:
    """Price, items, days, shop, weight, and whether it was returned."""
    price, days, items = rng.gamma(2, 40, count), rng.integers(1, 30, count), rng.integers(1, 6, count)
    shop = rng.integers(1, 9, count)
    score = price / 40 - 3 + days / 10 - items / 2 + np.where(shop % 3 == 0, 3, -1)
    returned = np.where(score + rng.normal(0, 0.5, count) > 0, "yes", "no")
    gaps = rng.random((count, 2)) < 0.03
    return [
        [
            "" if gap else f"{row[0]:.2f}",
            "?" if other else row[1],
            row[2],
            f"{row[3]:02}",
            1 if row[4] == "yes" else 0.5,
            row[4],
        ]
        for *row, (gap, other) in zip(price, items, days, shop, returned, gaps, strict=True)
    ]


def write_table(path: Path, header: list[str], rows: list[list[object]], separator: str = ",") -> None:
    with gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(header)
        writer.writerows(rows)


def main(place: Path = HERE) -> None:
    place.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    images, labels = digits()
    np.savez_compressed(place / "digits.npz", images=images, measures=measures(images), labels=labels)
    np.savez_compressed(place / "digit_pairs.npz", **pairs(images, labels, rng))
    np.save(place / "digit_images.npy", images)
    np.save(place / "digit_labels.npy", labels)
    noisy = np.clip(images + rng.normal(0, 0.4, images.shape), 0, 1).astype("float32")
    np.savez_compressed(place / "noisy_digits.npz", noisy=noisy, clean=images)
    iris = datasets.load_iris()
    with (place / "iris.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sepal_length", "sepal_width", "petal_length", "petal_width", "species"])
        for flower, species in zip(iris.data, iris.target, strict=True):
            writer.writerow([*flower, iris.target_names[species]])
    write_table(
        place / "stations.csv",
        ["station", "temperature", "pressure", "wind"],
        stations(np.random.default_rng(1)),
    )
    header = ["price", "items", "days", "shop", "weight", "returned"]
    for month in (1, 2):
        write_table(place / f"orders-{month}.csv.gz", header, orders(np.random.default_rng(month), 1500), ";")
    wine = datasets.load_wine()
    columns = {name: wine.data[:, index] for index, name in enumerate(wine.feature_names)}
    parquet.write_table(
        pa.table(columns | {"cultivar": [f"c{label}" for label in wine.target]}), place / "wine.parquet"
    )
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = place / "digit_images" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image[..., 0] * 255).astype("uint8")).save(folder / f"{number:04}.png")
    texts = [["text", "topic"]]
    for name, words in {"fruit": FRUIT, "animals": ANIMALS}.items():
        folder = place / "texts" / name
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(150):
            chosen = [*rng.choice(words.split(), 3), *rng.choice(COMMON.split(), 9)]
            texts.append([" ".join(rng.permutation(chosen)), name])
            (folder / f"{number:03}.txt").write_text(texts[-1][0])
    with (place / "topics.csv").open("w", newline="") as file:
        csv.writer(file).writerows(texts)


if __name__ == "__main__":
    main()
