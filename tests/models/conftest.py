"""A planted cohort: three classes, two columns that tell them apart, noise, one empty and one constant column."""

import hashlib
import io
import zipfile

import numpy as np
import pandas as pd
import pytest

from radiocard.models.assemble import make_bundle
from radiocard.models.encoding import array_bytes, document_bytes, document_id, model_document
from radiocard.models.selection import fit_best
from radiocard.specs import ModelRecipe, read_recipe

CLASSES = ("DCM", "HCM", "NOR")


def plant(seed: int = 0, per_class: int = 12, n_classes: int = 3):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.array(CLASSES[:n_classes]), per_class)
    code = np.searchsorted(CLASSES, y)
    X = pd.DataFrame(rng.normal(size=(len(y), 6)), columns=[f"noise_{i}" for i in range(6)])
    X["signal_a"] = np.where(code == 0, 8.0, 0.0) + rng.normal(size=len(y))
    X["signal_b"] = np.where(code == 1, 8.0, 0.0) + rng.normal(size=len(y))
    X["signal_a_again"] = 2 * X["signal_a"] + 1
    X["empty"] = np.nan
    X["constant"] = 3.0
    X.loc[3, "noise_2"] = np.nan
    X.index = pd.Index([f"patient{i:03d}" for i in range(len(y))], name="patient_id")
    return X, y, np.array(X.index)


def small(name: str) -> ModelRecipe:
    """A shipped recipe with a grid small enough for tests."""
    recipe = read_recipe(name)
    fixed = dict(recipe.fixed)
    if "n_estimators" in fixed:
        fixed["n_estimators"] = 8
    grid = {k: v[:1] for k, v in recipe.grid.items()}
    select = recipe.select.model_copy(update={"k": (3,) if recipe.select.k else ()})
    return recipe.model_copy(update={"fixed": fixed, "grid": grid, "select": select})


RECIPES = ("svm", "rf", "xgboost", "logistic", "majority")


def train(X, y, groups, names=RECIPES, *, seed=7):
    return [fit_best(small(n), X, y, groups, inner_folds=3, random_state=seed) for n in names]


def bundle_of(X, y, groups, models):
    n_classes = len(set(y))
    p = np.random.default_rng(1).dirichlet(np.ones(n_classes), size=(2, len(y)))
    return make_bundle(
        models,
        X,
        y,
        groups,
        target="diagnosis",
        pool="physiology",
        feature_spec={"schema": "radiocard/feature-spec/1", "phases": ["ed", "es"], "name": "x"},
        feature_spec_hash="0" * 64,
        out_of_fold={"selected": p},
        evaluation={"accuracy": 0.9, "undefined": float("nan")},
        simulated=True,
        seed=7,
        image_digests=[f"digest_{i}" for i in groups],
    )


@pytest.fixture(scope="session")
def planted():
    return plant()


@pytest.fixture(scope="session")
def models(planted):
    return train(*planted)


@pytest.fixture(scope="session")
def bundle(planted, models):
    return bundle_of(*planted, models)


def forge(document, arrays) -> bytes:
    """A model file whose hashes all fit, as somebody who knows the format could make it."""
    document = dict(document)
    document["arrays"] = {
        name: {
            "dtype": a.dtype.str,
            "shape": list(a.shape),
            "sha256": hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest(),
        }
        for name, a in arrays.items()
    }
    document["model_id"] = document_id(document)
    return pack(
        {"model.json": document_bytes(document)} | {f"arrays/{n}.npy": array_bytes(a) for n, a in arrays.items()}
    )


def pack(members, *, compression=zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=compression)
    return buffer.getvalue()


@pytest.fixture
def content(bundle):
    """Document and arrays of the bundle, to be changed."""
    document, arrays = model_document(bundle)
    return document, {k: v.copy() for k, v in arrays.items()}


@pytest.fixture(scope="session")
def tools():
    """The helpers above, for test modules (which cannot import a conftest by name)."""
    return {"plant": plant, "small": small, "train": train, "bundle_of": bundle_of, "forge": forge, "pack": pack}
