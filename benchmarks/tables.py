"""Error on held-out rows of the model that ``layercli init`` writes for a table, compared with scikit-learn's.

    python benchmarks/tables.py                             # the tables below
    python benchmarks/tables.py --only iris tips            # some of them
    python benchmarks/tables.py people.csv houses.csv:price # your files, a target after the colon
    python benchmarks/tables.py titanic.csv:survived --without alive

Every table is divided into a file for training and a file with a quarter of the rows. ``init`` and ``train`` see the first,
``predict`` the second; nothing is edited. The baselines are a linear model (one-hot categories, medians for missing numbers,
standardized), scikit-learn's gradient boosting, and the most frequent class or the median. ``init``'s model holds some of
its rows out for validation and testing; the baselines learn from all of them. The error is the share of wrong classes, or
the mean absolute error. ``ratio`` is ``init`` to the best baseline; shares get one error in 1,000 rows added, so that no
ratio is infinite.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import math
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

SMALL = 1_500
"""Tables with fewer rows are divided three times, and errors are the means."""


@dataclass
class Table:
    """The lines of a file, and its target."""

    name: str
    lines: list[str]
    target: str | None
    has_header: bool = True


@dataclass
class Errors:
    """The errors of one table."""

    init: float
    linear: float
    boosting: float
    constant: float
    is_share: bool
    seconds: float

    @property
    def best(self) -> float:
        return min(self.linear, self.boosting, self.constant)

    @property
    def ratio(self) -> float:
        offset = 0.001 if self.is_share else 0.0
        return (self.init + offset) / (self.best + offset)


# ----------------------------------------------------------------------------------------------------------- tables


def table_of(name: str, names: list[str], columns: list, target: str) -> Table:
    """Return a table of arrays; NaN and None become empty cells."""

    def text(value) -> str:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return ""
        return f"{value:.6g}" if isinstance(value, float) else str(value)

    rows = zip(*(np.asarray(column).tolist() for column in columns), strict=True)
    lines = [",".join(names), *(",".join(map(text, row)) for row in rows)]
    return Table(name, lines, target)


def from_arrays(name: str, x, y, target: str = "y") -> Table:
    """Return a table of the columns of ``x`` and a target."""
    return table_of(name, [f"x{n}" for n in range(x.shape[1])] + [target], [*x.T, y], target)


def from_sklearn(name: str) -> Table:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    names = [str(feature).replace(" ", "_") for feature in bunch.feature_names]
    if name == "linnerud":
        return table_of(name, [*names, "weight"], [*bunch.data.T, bunch.target[:, 0]], "weight")
    target = bunch.target if name in ("diabetes", "digits") else bunch.target_names[bunch.target]
    return table_of(name, [*names, "kind"], [*bunch.data.T, target], "kind")


def from_plotly(name: str, target: str, without: tuple[str, ...] = ()) -> Table:
    """Return a table that is included in plotly, which the extra ``dev`` installs."""
    folder = Path(find_spec("plotly").submodule_search_locations[0], "package_data", "datasets")
    lines = gzip.decompress((folder / f"{name}.csv.gz").read_bytes()).decode().splitlines()
    return drop_columns(Table(name, lines, target), without)


def generate(name: str) -> Table:
    from sklearn import datasets

    if name == "hastie":
        x, y = datasets.make_hastie_10_2(4_000, random_state=0)
        return from_arrays(name, x, y.astype(int))
    if name == "moons":
        return from_arrays(name, *datasets.make_moons(1_000, noise=0.25, random_state=0))
    if name == "wide":
        x, y = datasets.make_classification(
            500, 2_000, n_informative=30, n_redundant=20, class_sep=2.0, shuffle=False, random_state=0
        )
        return from_arrays(name, x, y)
    if name == "rare":
        x, y = datasets.make_classification(
            3_000, 12, n_informative=8, n_classes=3, weights=[0.95, 0.03], class_sep=1.5, random_state=0
        )
        return from_arrays(name, x, np.array(["good", "worn", "broken"])[y])
    if name == "sparse":
        return from_arrays(name, *datasets.make_sparse_uncorrelated(800, random_state=0))
    number = name.removeprefix("friedman")
    return from_arrays(
        name, *getattr(datasets, f"make_friedman{number}")(1_500, noise=float(number == "1"), random_state=0)
    )


def make_houses() -> Table:
    """Return prices with a long tail, from skewed areas, towns, ages and missing cells."""
    rng = np.random.default_rng(3)
    n = 2_500
    area = rng.lognormal(4.6, 0.5, n)
    town = rng.choice([f"town {k}" for k in range(40)], n, p=rng.dirichlet(np.ones(40)))
    level = {f"town {k}": value for k, value in enumerate(rng.normal(0, 0.4, 40))}
    age = rng.gamma(2, 18, n).round()
    heating = rng.choice(["gas", "oil", "wood", None], n, p=[0.6, 0.2, 0.1, 0.1])
    price = area**0.9 * np.exp([level[t] for t in town]) * (1.1 - 0.004 * np.minimum(age, 80)) * 4_000
    price *= np.where(heating == "oil", 0.93, 1.0) * np.exp(rng.normal(0, 0.12, n))
    area[rng.random(n) < 0.05] = math.nan
    names = ["id", "area", "town", "age", "heating", "price"]
    columns = [np.arange(n), area.round(1), town, age, heating, price.round(-2).astype(int)]
    return table_of("houses", names, columns, "price")


def make_visits() -> Table:
    """Return counts by hour, weekday and weather, with an index column without a name."""
    rng = np.random.default_rng(5)
    n = 4_000
    hour, day, rain = rng.integers(0, 24, n), rng.integers(0, 7, n), rng.random(n) < 0.25
    warmth = rng.normal(14, 8, n).round(1)
    rush = np.exp(-((hour - 8) ** 2) / 4) + np.exp(-((hour - 17.5) ** 2) / 5)
    leisure = np.exp(-((hour - 14) ** 2) / 18)
    level = 5 + 180 * np.where(day < 5, rush, leisure) * np.where(rain, 0.6, 1.0) * (1 + warmth / 40)
    names = ["", "hour", "weekday", "rain", "warmth", "count"]
    columns = [np.arange(n), hour, day, rain, warmth, rng.poisson(np.maximum(level, 1))]
    return table_of("visits", names, columns, "count")


def make_customers() -> Table:
    """Return who left, from an id, categories, a skewed amount and numbers of which some are missing."""
    rng = np.random.default_rng(7)
    n = 3_000
    plan = rng.choice(["basic", "plus", "pro"], n, p=[0.5, 0.35, 0.15])
    months, spent = rng.integers(0, 72, n), rng.lognormal(3, 1.2, n)
    calls = rng.poisson(1.5, n).astype(float)
    city = rng.choice([f"city {k}" for k in range(120)], n)
    score = 1.0 - 0.06 * months + 0.9 * (plan == "basic") + 0.5 * (calls > 3) - 0.25 * np.log(spent)
    left = np.where(rng.random(n) < 1 / (1 + np.exp(-1.8 * score)), "yes", "no")
    calls[rng.random(n) < 0.1] = math.nan
    names = ["customer", "plan", "months", "spent", "calls", "city", "left"]
    columns = [[f"C-{k * 7919 % 99991:05}" for k in range(n)], plan, months, spent, calls, city, left]
    return table_of("customers", names, columns, "left")


TABLES: dict[str, Callable[[], Table]] = {
    **{
        name: (lambda name=name: from_sklearn(name))
        for name in ("iris", "wine", "breast_cancer", "digits", "diabetes", "linnerud")
    },
    "tips": lambda: from_plotly("tips", "tip"),
    "gapminder": lambda: from_plotly("gapminder", "lifeExp"),
    "election": lambda: from_plotly("election", "winner", ("district", "district_id")),
    "experiment": lambda: from_plotly("experiment", "group"),
    "carshare": lambda: from_plotly("carshare", "car_hours"),
    **{
        name: (lambda name=name: generate(name))
        for name in ("friedman1", "friedman2", "friedman3", "sparse", "hastie", "moons", "wide", "rare")
    },
    "houses": make_houses,
    "visits": make_visits,
    "customers": make_customers,
}


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def separator_of(table: Table) -> str:
    return max(",;\t", key=table.lines[0].count)


def drop_columns(table: Table, names: tuple[str, ...]) -> Table:
    """Return the table without some columns."""
    if not names:
        return table
    separator = separator_of(table)
    rows = list(csv.reader(table.lines, delimiter=separator))
    kept = [index for index, name in enumerate(rows[0]) if name not in names]
    lines = [separator.join(row[index] for index in kept) for row in rows]
    return Table(table.name, lines, table.target, table.has_header)


def read_file(argument: str, without: tuple[str, ...]) -> Table:
    """Return the table of ``FILE`` or ``FILE:TARGET``."""
    path, _, target = argument.partition(":")
    lines = [line for line in Path(path).read_text("utf-8").splitlines() if line.strip()]
    table = Table(Path(path).stem, lines, target or None)
    first = next(csv.reader(lines[:1], delimiter=separator_of(table)))
    table.has_header = not any(map(is_number, first))
    return drop_columns(table, without)


# -------------------------------------------------------------------------------------------------------- baselines


def read_columns(lines: list[str], separator: str) -> list[list[str]]:
    return [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=separator) if row]


def baseline_errors(train: list[list[str]], test: list[list[str]], target: int, *, is_share: bool):
    """Return the errors of the linear model, of gradient boosting, and of the median or the most frequent class."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    missing = {"", "NA", "NaN", "nan", "null", "?"}
    numbers, words = [], []
    for index in range(len(train[0])):
        cells = [row[index] for row in train if row[index] not in missing]
        if index == target or not cells:
            continue
        if all(map(is_number, cells)):
            numbers.append(index)
        elif len(set(cells)) <= max(20, len(cells) / 2):
            words.append(index)

    def matrix(rows):
        cells = np.array(rows, object)
        read = np.array(
            [[float(c) if is_number(c) else math.nan for c in row] for row in cells[:, numbers].tolist()]
        )
        return np.concatenate([read.reshape(len(rows), -1).astype(object), cells[:, words]], axis=1)

    def labels(rows):
        return np.array([row[target] if is_share else float(row[target]) for row in rows])

    count = len(numbers)
    first, rest = list(range(count)), list(range(count, count + len(words)))
    linear = make_pipeline(
        ColumnTransformer(
            [
                ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), first),
                ("words", OneHotEncoder(handle_unknown="ignore"), rest),
            ]
        ),
        LogisticRegression(max_iter=2_000) if is_share else Ridge(),
    )
    limits = {"handle_unknown": "use_encoded_value", "unknown_value": -1, "max_categories": 250}
    codes = ColumnTransformer(
        [("numbers", "passthrough", first), ("words", OrdinalEncoder(**limits), rest)], sparse_threshold=0
    )
    boosting = make_pipeline(
        codes, (HistGradientBoostingClassifier if is_share else HistGradientBoostingRegressor)(random_state=0)
    )
    x, y, new, truth = matrix(train), labels(train), matrix(test), labels(test)
    errors = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for model in (linear, boosting):
            errors.append(error_of(model.fit(x, y).predict(new), truth, is_share=is_share))
    if is_share:
        values, counts = np.unique(y, return_counts=True)
        constant = np.full(len(truth), values[counts.argmax()])
    else:
        constant = np.full(len(truth), np.median(y))
    return [*errors, error_of(constant, truth, is_share=is_share)]


def error_of(predicted, truth, *, is_share: bool) -> float:
    return float(np.mean(predicted != truth) if is_share else np.mean(np.abs(predicted - truth)))


# ------------------------------------------------------------------------------------------------------------- init


def run(*arguments: object) -> None:
    """Run a command of layercli in this process."""
    from typer.testing import CliRunner

    from layercli.cli import make_app_for

    words = [str(argument) for argument in arguments]
    result = CliRunner().invoke(make_app_for(words), words)
    if result.exit_code:
        sys.exit(f"layercli {' '.join(words)} failed:\n{result.output}")


def train_init_model(folder: Path, target: str | None) -> tuple[str, bool, Path]:
    """Run ``init``, ``train`` and ``predict``. Return the target, whether it is a class, and the predictions."""
    import yaml

    config, predictions = folder / "config.yaml", folder / "predictions.csv"
    run("init", folder / "train.csv", "--output", config, *(["--target", target] if target else []))
    document = yaml.safe_load(config.read_text("utf-8"))
    run("train", config, "--run-dir", folder / "run", "--json")
    run("predict", folder / "run", "--input", folder / "test.csv", "--output", predictions)
    return document["data"]["target"], "crossentropy" in document["train"]["loss"], predictions


def compare_models(table: Table, seed: int, folder: Path) -> Errors:
    """Divide the table, train all models and return their errors."""
    separator = separator_of(table)
    body = table.lines[1:] if table.has_header else table.lines[:]
    random.Random(seed).shuffle(body)
    header = table.lines[:1] if table.has_header else []
    held_out = len(body) // 4
    for name, lines in (("train", body[held_out:]), ("test", body[:held_out])):
        Path(folder, f"{name}.csv").write_text("\n".join(header + lines) + "\n", "utf-8")
    began = time.perf_counter()
    target, is_share, predictions = train_init_model(folder, table.target)
    seconds = time.perf_counter() - began
    train, test = read_columns(body[held_out:], separator), read_columns(body[:held_out], separator)
    names = (
        read_columns(header, separator)[0] if header else [f"column_{n + 1}" for n in range(len(train[0]))]
    )
    names[0] = names[0].removeprefix("\ufeff")
    index = names.index(target)
    with predictions.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    key = "class" if is_share else "prediction"
    predicted = np.array([row[key].removeprefix("'") for row in rows])
    truth = np.array([row[index] for row in test])
    if not is_share or all(map(is_number, truth)):
        predicted, truth = predicted.astype(float), truth.astype(float)
    ours = error_of(predicted, truth, is_share=is_share)
    return Errors(ours, *baseline_errors(train, test, index, is_share=is_share), is_share, seconds)


def mean_errors(table: Table, folder: Path, repeats: int | None) -> Errors:
    """Return the mean errors over several divisions of the table."""
    count = repeats or (3 if len(table.lines) < SMALL else 1)
    found = []
    for seed in range(count):
        place = folder / f"{table.name}-{seed}"
        place.mkdir()
        found.append(compare_models(table, seed, place))
    means = [
        float(np.mean([getattr(e, key) for e in found])) for key in ("init", "linear", "boosting", "constant")
    ]
    return Errors(*means, found[0].is_share, sum(e.seconds for e in found))


def list_tables(arguments: argparse.Namespace) -> Iterator[Table]:
    if arguments.files:
        yield from (read_file(file, tuple(arguments.without)) for file in arguments.files)
        return
    for name in arguments.only or TABLES:
        yield TABLES[name]()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", metavar="FILE[:TARGET]")
    parser.add_argument("--only", nargs="*", choices=TABLES, metavar="NAME", help=", ".join(TABLES))
    parser.add_argument("--without", nargs="*", default=[], metavar="COLUMN", help="columns to remove first")
    parser.add_argument(
        "--repeats", type=int, help="divisions of each table (default: 3 below 1,500 rows, else 1)"
    )
    arguments = parser.parse_args()
    line = "{:22} {:>7} {:>5} {:>10} {:>10} {:>10} {:>10} {:>6} {:>7}"
    print(line.format("table", "rows", "error", "init", "linear", "boosting", "constant", "ratio", "seconds"))
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for table in list_tables(arguments):
            errors = mean_errors(table, Path(folder), arguments.repeats)
            values = [errors.init, errors.linear, errors.boosting, errors.constant]
            print(
                line.format(
                    table.name[:22],
                    f"{len(table.lines) - table.has_header:,}",
                    "share" if errors.is_share else "mean",
                    *(f"{value:.4g}" for value in values),
                    f"{errors.ratio:.2f}",
                    f"{errors.seconds:.0f}",
                ),
                flush=True,
            )
            ratios.append(errors.ratio)
    print(f"geometric mean of the ratios: {math.exp(np.mean(np.log(ratios))):.3f}")


if __name__ == "__main__":
    main()
