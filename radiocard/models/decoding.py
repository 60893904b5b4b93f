"""A checked document and checked arrays back to a bundle; nothing of a file is executed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from radiocard.errors import ModelError, RadiocardError
from radiocard.models.bundle import ModelBundle
from radiocard.models.codecs.arrays import Array, ArrayReader
from radiocard.models.codecs.registry import CODECS
from radiocard.models.fitted import FittedModel
from radiocard.models.pipeline import build_pipeline
from radiocard.models.recipes import candidates
from radiocard.specs import ModelRecipe, parse_as

# Dots part the names of arrays, so names hold none.
NAME = r"^[a-z0-9_]{1,40}$"
ARRAY_NAME = r"^[a-z0-9_]{1,40}(\.[a-z0-9_]{1,40}){1,2}$"
Name = Annotated[str, Field(pattern=NAME)]
Text = Annotated[str, Field(min_length=1, max_length=300)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Setting = float | int | str | bool | None


class Strict(BaseModel):
    """A part of a document: nothing more, nothing converted, no number that is none."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class ArrayEntry(Strict):
    """Type, shape and hash of one array."""

    dtype: Literal["<f8", "<f4", "<i8", "|u1"]
    shape: Annotated[list[Annotated[int, Field(ge=1, lt=2**40)]], Field(min_length=1, max_length=3)]
    sha256: Sha256


class ModelEntry(Strict):
    """One trained model, without its arrays."""

    recipe: dict[str, Any]
    params: dict[str, Setting]
    inner_log_loss: Annotated[float, Field(ge=0)]
    random_state: Seed


class Document(Strict):
    """``model.json`` of a model file."""

    schema_: Literal["radiocard/model/1"] = Field(alias="schema")
    model_id: Sha256
    answers: Name
    classes: Annotated[list[Text], Field(min_length=2, max_length=200)]
    columns: Annotated[list[Text], Field(min_length=1, max_length=50_000)]
    target: Text
    pool: Text
    feature_spec: dict[str, Any]
    feature_spec_hash: Annotated[str, Field(max_length=64)]
    patients: Annotated[list[Sha256], Field(min_length=2)]
    images: list[Annotated[str, Field(pattern=r"^([0-9a-f]{64}(-[0-9a-f]{64}){0,7})?$")]]
    out_of_fold: Annotated[list[Name], Field(max_length=100)]
    evaluation: dict[str, Any]
    simulated: bool
    seed: Seed
    versions: dict[Text, Text]
    models: Annotated[list[ModelEntry], Field(min_length=1, max_length=50)]
    arrays: dict[Annotated[str, Field(pattern=ARRAY_NAME)], ArrayEntry]


def parse_document(data: Mapping[str, Any]) -> Document:
    """Check the shape of a document.

    Raises
    ------
    ModelError
        Naming the first entry that does not fit.
    """
    try:
        return Document.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])[:120]
        msg = f"Model file: model.json, {where}: {first['msg']}."
        raise ModelError(msg) from None


def restore_bundle(document: Document, arrays: Mapping[str, Array]) -> ModelBundle:
    """Rebuild a bundle.

    Parameters
    ----------
    document : Document
        From :func:`parse_document`.
    arrays : mapping of str to ndarray
        Types, shapes and hashes are those of the document.

    Returns
    -------
    ModelBundle

    Raises
    ------
    ModelError
        If the parts contradict each other, or an array breaks its bounds.
    """
    classes, columns = tuple(document.classes), tuple(document.columns)
    if sorted(set(classes)) != list(classes) or sorted(set(columns)) != list(columns):
        msg = "Model file: classes or columns are not sorted, or stand twice."
        raise ModelError(msg)
    n = len(document.patients)
    left = dict(arrays)
    table = ArrayReader(take_arrays(left, "table"), "training table")
    folds = ArrayReader(take_arrays(left, "out_of_fold"), "out-of-fold predictions")
    models = tuple(_restore_model(entry, left, classes, columns) for entry in document.models)
    names = [m.name for m in models]
    if left or len(document.images) != n or len(set(names)) != len(names) or document.answers not in names:
        msg = "Model file: models, arrays and patients do not belong together."
        raise ModelError(msg)
    bundle = ModelBundle(
        models=models,
        answers=document.answers,
        classes=classes,
        columns=columns,
        target=document.target,
        pool=document.pool,
        feature_spec=document.feature_spec,
        feature_spec_hash=document.feature_spec_hash,
        values=table.floats("values", (n, len(columns)), undefined=True),
        labels=table.ints("labels", (n,), low=0, high=len(classes) - 1),
        groups=table.ints("groups", (n,), low=0, high=n - 1),
        patient_hashes=tuple(document.patients),
        image_hashes=tuple(document.images),
        out_of_fold={k: _probabilities(folds, k, n, len(classes)) for k in document.out_of_fold},
        evaluation=document.evaluation,
        simulated=document.simulated,
        seed=document.seed,
        versions=document.versions,
        model_id=document.model_id,
    )
    table.finish()
    folds.finish()
    return bundle


def _probabilities(folds: ArrayReader, name: str, n: int, n_classes: int) -> Array:
    p = folds.floats(name, (None, n, n_classes), low=0.0, high=1.0 + 1e-9)
    if not p.shape[0] or np.abs(p.sum(axis=2) - 1.0).max() > 1e-5:
        folds.refuse(f"{name!r} does not sum to 1")
    return p


def _restore_model(
    entry: ModelEntry, left: dict[str, Array], classes: tuple[str, ...], columns: tuple[str, ...]
) -> FittedModel:
    try:
        recipe = parse_as(ModelRecipe, entry.recipe, "recipe")
        pipeline = build_pipeline(recipe, random_state=entry.random_state, classes=classes)
    except RadiocardError as error:
        msg = f"Model file: {error.issue.message}"
        raise ModelError(msg) from None
    if entry.params not in candidates(recipe):
        msg = f"Model file: the settings of {recipe.name!r} are not among the candidates of its recipe."
        raise ModelError(msg)
    pipeline.set_params(**entry.params)
    taken = take_arrays(left, recipe.name)
    n_features = len(columns)
    for name, step in pipeline.steps:
        reader = ArrayReader(take_arrays(taken, name), f"{recipe.name}, step {name!r}")
        n_features = CODECS[type(step)].restore(step, reader, n_features, len(classes))
        reader.finish()
    if taken:
        msg = f"Model file: {recipe.name!r} holds arrays of no step: {', '.join(sorted(taken)[:4])}."
        raise ModelError(msg)
    return FittedModel(
        recipe=recipe,
        estimator=pipeline,
        params=entry.params,
        inner_log_loss=entry.inner_log_loss,
        classes=classes,
        columns=columns,
        random_state=entry.random_state,
    )


def take_arrays(arrays: dict[str, Array], prefix: str) -> dict[str, Array]:
    """Move the arrays below a prefix out of a dictionary."""
    start = f"{prefix}."
    return {name.removeprefix(start): arrays.pop(name) for name in list(arrays) if name.startswith(start)}
