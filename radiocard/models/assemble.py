"""Trained models, their training table and their evaluation to one bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from radiocard.errors import UsageError
from radiocard.io.atomic import plain
from radiocard.models.bundle import Floats, ModelBundle
from radiocard.models.encoding import model_document
from radiocard.models.fitted import FittedModel
from radiocard.models.identity import hash_image, hash_patient
from radiocard.models.selection import choose_model
from radiocard.models.table import align

PACKAGES = ("radiocard", "numpy", "scipy", "pandas", "scikit-learn", "xgboost-cpu", "xgboost")


def make_bundle(
    models: Sequence[FittedModel],
    X: pd.DataFrame,
    y: ArrayLike,
    groups: ArrayLike,
    *,
    target: str,
    pool: str,
    feature_spec: Mapping[str, Any],
    feature_spec_hash: str,
    out_of_fold: Mapping[str, Floats],
    evaluation: Mapping[str, Any],
    simulated: bool,
    seed: int,
    image_digests: Sequence[str | None] | None = None,
) -> ModelBundle:
    """Put the trained models and the record of their training together.

    Parameters
    ----------
    models : sequence of FittedModel
        Fitted on the same ``X`` and ``y``.
    X : DataFrame of float, index patient_id, shape (n_patients, n_columns)
        Training table.
    y, groups : array-like, shape (n_patients,)
        Classes; groups.
    target, pool : str
        Column of the classes; pool of the columns.
    feature_spec : mapping
        Settings of the feature specification.
    feature_spec_hash : str
        Its hash.
    out_of_fold : mapping of str to ndarray of float, shape (n_repeats, n_patients, n_classes)
        First the one that :meth:`ModelBundle.out_of_fold_of` returns by default.
    evaluation : mapping
        Plain data; numbers that are not finite become None.
    simulated : bool
        Whether the patients were simulated.
    seed : int
        Seed.
    image_digests : sequence of str or None, optional
        One per patient.

    Returns
    -------
    ModelBundle

    Raises
    ------
    UsageError
        If the parts do not fit together, or the evaluation is not plain data.
    """
    best = choose_model(models)
    labels = np.asarray(y).astype(str)
    digests = list(image_digests) if image_digests is not None else [None] * len(X)
    shape = (len(X), len(best.classes))
    names = [m.name for m in models]
    fits = (
        all(m.columns == best.columns and m.classes == best.classes for m in models)
        and len(set(names)) == len(names)
        and len(labels) == len(X) == len(digests) == np.asarray(groups).size
        and set(labels) == set(best.classes)
        and all(np.ndim(p) == 3 and np.shape(p)[1:] == shape for p in out_of_fold.values())
    )
    if not fits:
        msg = "Models, table, classes, groups and out-of-fold predictions do not belong together."
        raise UsageError(msg)
    bundle = ModelBundle(
        models=tuple(models),
        answers=best.name,
        classes=best.classes,
        columns=best.columns,
        target=target,
        pool=pool,
        feature_spec=plain(feature_spec),
        feature_spec_hash=feature_spec_hash,
        values=align(X, best.columns)[0],
        labels=np.searchsorted(np.array(best.classes), labels).astype(np.int64),
        groups=np.unique(np.asarray(groups).astype(str), return_inverse=True)[1].astype(np.int64),
        patient_hashes=tuple(hash_patient(str(i)) for i in X.index),
        image_hashes=tuple(hash_image(d) for d in digests),
        out_of_fold={k: np.asarray(v, dtype=np.float64) for k, v in out_of_fold.items()},
        evaluation=plain(evaluation),
        simulated=simulated,
        seed=seed,
        versions=installed_versions(),
        model_id="",
    )
    return replace(bundle, model_id=model_document(bundle)[0]["model_id"])


def installed_versions() -> dict[str, str]:
    """Return the versions of the packages that fits depend on, as far as they are installed."""
    installed = {}
    for package in PACKAGES:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return installed
