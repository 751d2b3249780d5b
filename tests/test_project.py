"""The project's own files agree with each other, and the data are what their source published."""

import csv
import os
import tomllib
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_core_needs_two_packages() -> None:
    names = {requirement.partition(">=")[0] for requirement in PROJECT["dependencies"]}
    assert names == {"numpy", "opt_einsum"}


def test_types_are_shipped() -> None:
    assert (ROOT / "jacobian" / "py.typed").exists()


def test_the_changelog_has_this_version() -> None:
    assert f"## [{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text()


def test_ci_can_be_run() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def irises() -> tuple[np.ndarray, list[str]]:
    with (ROOT / "notebooks" / "data" / "iris.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["sepal_length_cm", "sepal_width_cm", "petal_length_cm", "petal_width_cm", "species"]
    return np.array([[float(value) for value in row[:4]] for row in rows]), [row[4] for row in rows]


def test_irises_have_the_means_that_fisher_published() -> None:
    values, species = irises()
    groups = defaultdict(list)
    for row, name in zip(values, species, strict=True):
        groups[name].append(row)
    assert {name: len(rows) for name, rows in groups.items()} == {"setosa": 50, "versicolor": 50, "virginica": 50}
    means = {
        "setosa": [5.006, 3.428, 1.462, 0.246],
        "versicolor": [5.936, 2.770, 4.260, 1.326],
        "virginica": [6.588, 2.974, 5.552, 2.026],
    }
    for name, mean in means.items():
        assert np.mean(groups[name], axis=0) == pytest.approx(mean, abs=5e-4)


def test_irises_follow_the_table_where_a_common_copy_does_not() -> None:
    values, _ = irises()
    assert values[34].tolist() == [4.9, 3.1, 1.5, 0.2]
    assert values[37].tolist() == [4.9, 3.6, 1.4, 0.1]
