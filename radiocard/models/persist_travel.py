"""Files of models that know sites: the same zip of JSON and arrays as a model file, under a schema of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from radiocard.errors import ModelError, RadiocardError, UsageError
from radiocard.io.atomic import write_bytes
from radiocard.models.codecs.arrays import Array, ArrayReader
from radiocard.models.codecs.registry import CODECS
from radiocard.models.decoding import ARRAY_NAME, ArrayEntry, Seed, Setting, Sha256, Strict, Text, take_arrays
from radiocard.models.encoding import array_entry, document_id
from radiocard.models.persist import MAX_FILE, checked_arrays, open_archive, pack_archive, refuse_changed
from radiocard.models.recipes import candidates
from radiocard.models.travel import ADAPTATIONS, Adaptation, TravellingModel, site_pipeline
from radiocard.specs import ModelRecipe, parse_as

SCHEMA = "radiocard/site-model/1"


class SiteDocument(Strict):
    """``model.json`` of a model that knows sites."""

    schema_: Literal["radiocard/site-model/1"] = Field(alias="schema")
    model_id: Sha256
    classes: Annotated[list[Text], Field(min_length=2, max_length=200)]
    columns: Annotated[list[Text], Field(min_length=1, max_length=50_000)]
    sites: Annotated[dict[Text, Annotated[float, Field(ge=0, le=10_000)]], Field(min_length=1)]
    adaptation: Text
    normal: Annotated[int, Field(ge=0, lt=200)] | None
    recipe: dict[str, Any]
    params: dict[str, Setting]
    random_state: Seed
    notes: Annotated[list[Annotated[str, Field(max_length=2000)]], Field(max_length=1000)]
    arrays: dict[Annotated[str, Field(pattern=ARRAY_NAME)], ArrayEntry]


def save_site_model(model: TravellingModel, path: str | Path) -> None:
    """Write a model that knows sites; the same model gives the same bytes.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_bytes(site_model_bytes(model), path)


def load_site_model(path: str | Path) -> TravellingModel:
    """Read a model that knows sites; nothing in the file is executed.

    Parameters
    ----------
    path : str or Path
        File written by :func:`save_site_model`.

    Returns
    -------
    TravellingModel
        Gives the same bits as the one that was saved, for patients of a known site and, described by
        references, of a new one.

    Raises
    ------
    UsageError
        If there is no such file.
    ModelError
        If it is damaged, tampered with, too large, or not such a file.
    """
    path = Path(path)
    if not path.is_file():
        msg = f"There is no model file {path.name!r}."
        raise UsageError(msg)
    if path.stat().st_size > MAX_FILE:
        msg = f"Model file has {path.stat().st_size} bytes, expected at most {MAX_FILE}."
        raise ModelError(msg)
    return read_site_model(path.read_bytes())


def site_model_bytes(model: TravellingModel) -> bytes:
    """Return the bytes of a model that knows sites."""
    arrays: dict[str, Array] = {
        f"{name}.{key}": array
        for name, step in model.pipeline.steps
        for key, array in CODECS[type(step)].arrays(step).items()
    }
    document = {
        "schema": SCHEMA,
        "classes": list(model.classes),
        "columns": list(model.columns),
        "sites": dict(model.sites),
        "adaptation": model.adaptation,
        "normal": model.normal,
        "recipe": model.recipe.model_dump(mode="json", by_alias=True),
        "params": dict(model.params),
        "random_state": model.random_state,
        "notes": list(model.notes),
        "arrays": {name: array_entry(arrays[name]) for name in sorted(arrays)},
    }
    return pack_archive(document | {"model_id": document_id(document)}, arrays)


def read_site_model(data: bytes) -> TravellingModel:
    """Rebuild a model from the bytes of its file; see :func:`load_site_model`."""
    content, members = open_archive(data, schema=SCHEMA)
    try:
        document = SiteDocument.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        msg = f"Model file: model.json, {'.'.join(map(str, first['loc']))[:120]}: {first['msg']}."
        raise ModelError(msg) from None
    refuse_changed(content)
    return _restore(document, checked_arrays(document.arrays, members))


def _restore(document: SiteDocument, arrays: dict[str, Array]) -> TravellingModel:
    known: dict[str, Adaptation] = {name: name for name in ADAPTATIONS}
    classes, columns = tuple(document.classes), tuple(document.columns)
    codes = list(document.sites.values())
    ordered = list(classes) == sorted(set(classes)) and len(set(columns)) == len(columns)
    if document.adaptation not in known or not ordered or len(set(codes)) < len(codes):
        msg = "Model file: classes, columns, sites or adaptation contradict each other."
        raise ModelError(msg)
    adaptation = known[document.adaptation]
    try:
        recipe = parse_as(ModelRecipe, document.recipe, "recipe")
        pipeline = site_pipeline(recipe, adaptation, normal=document.normal, random_state=document.random_state)
    except RadiocardError as error:
        msg = f"Model file: {error.issue.message}"
        raise ModelError(msg) from None
    if document.params not in candidates(recipe):
        msg = f"Model file: the settings of {recipe.name!r} are not among the candidates of its recipe."
        raise ModelError(msg)
    pipeline.set_params(**document.params)
    n_features = len(columns) + (adaptation != "none")
    for name, step in pipeline.steps:
        reader = ArrayReader(take_arrays(arrays, name), f"step {name!r}")
        n_features = CODECS[type(step)].restore(step, reader, n_features, len(classes))
        reader.finish()
    if arrays:
        msg = f"Model file: holds arrays of no step: {', '.join(sorted(arrays)[:4])}."
        raise ModelError(msg)
    return TravellingModel(
        pipeline,
        classes,
        columns,
        dict(document.sites),
        adaptation,
        recipe=recipe,
        params=document.params,
        random_state=document.random_state,
        normal=document.normal,
        notes=tuple(document.notes),
    )
