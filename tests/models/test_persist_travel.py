"""Models that know sites, through a file and back: one patient, a known site, a new one."""

import json
import zipfile

import numpy as np
import pandas as pd
import pytest

from radiocard.errors import ModelError, UsageError
from radiocard.models.encoding import document_bytes, document_id
from radiocard.models.persist import read_model
from radiocard.models.persist_travel import load_site_model, read_site_model, save_site_model, site_model_bytes
from radiocard.models.travel import ADAPTATIONS, fit_travelling
from radiocard.specs import read_recipe


def cohort(seed, sites, n=60):
    rng = np.random.default_rng(seed)
    y = np.array(["DCM", "HCM", "NOR"])[np.arange(n) % 3]
    s = np.array(sites)[rng.integers(0, len(sites), n)]
    X = pd.DataFrame(rng.normal(size=(n, 6)) + 3.0 * (s == sites[-1])[:, None], columns=list("abcdef"))
    X["a"] += 4.0 * (y == "DCM")
    X["b"] += 4.0 * (y == "HCM")
    X.loc[::7, "e"] = np.nan
    return X, y, s


def fitted(adaptation):
    recipe = read_recipe("logistic").model_copy(update={"grid": {"C": (0.1, 1.0)}})
    recipe = recipe.model_copy(update={"select": recipe.select.model_copy(update={"k": (3,)})})
    X, y, s = cohort(0, ["A", "B"])
    return fit_travelling(
        X, y, np.arange(len(y)).astype(str), s, recipe=recipe, adaptation=adaptation, inner_folds=2, random_state=3,
        normal="NOR",
    )  # fmt: skip


@pytest.fixture(scope="module")
def combat():
    return fitted("combat_normals")


@pytest.mark.parametrize("adaptation", list(ADAPTATIONS))
def test_a_loaded_model_gives_the_same_bits_at_a_known_and_at_a_new_site(adaptation, tmp_path):
    model = fitted(adaptation)
    save_site_model(model, tmp_path / "m.rcm")
    loaded = load_site_model(tmp_path / "m.rcm")
    one = cohort(5, ["A", "B"])[0].iloc[[4]]
    np.testing.assert_array_equal(loaded.predict_proba(one, site="B"), model.predict_proba(one, site="B"))
    references, y, _ = cohort(6, ["C"])
    references = references[y == "NOR"] if adaptation == "combat_normals" else references
    ours, theirs = (m.at_site(references, site="C") for m in (model, loaded))
    np.testing.assert_array_equal(theirs.predict_proba(one, site="C"), ours.predict_proba(one, site="C"))
    assert theirs.notes == ours.notes
    assert (loaded.classes, loaded.columns, loaded.sites) == (model.classes, model.columns, model.sites)
    again = read_site_model(site_model_bytes(ours))
    np.testing.assert_array_equal(again.predict_proba(one, site="C"), ours.predict_proba(one, site="C"))


def test_the_same_model_gives_the_same_bytes(combat):
    assert site_model_bytes(combat) == site_model_bytes(read_site_model(site_model_bytes(combat)))


def test_a_site_model_is_no_model_file(combat):
    with pytest.raises(ModelError, match="its schema is 'radiocard/site-model/1', expected 'radiocard/model/1'"):
        read_model(site_model_bytes(combat))


def forged(data, tmp_path, tools, change):
    (tmp_path / "m").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "m") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    document = json.loads(members["model.json"])
    change(document)
    document["model_id"] = document_id(document)
    return tools["pack"]({**members, "model.json": document_bytes(document)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(adaptation="magic"), "classes, columns, sites or adaptation contradict"),
        (lambda d: d.update(classes=d["classes"][::-1]), "classes, columns, sites or adaptation contradict"),
        (lambda d: d.update(params={"select__k": 99}), "are not among the candidates of its recipe"),
        (lambda d: d["recipe"].update(estimator="os.system"), "estimator"),
        (lambda d: d.update(seed=1), "model.json, seed: Extra inputs"),
        (lambda d: d["columns"].append("z"), "array 'median' is <f8"),
        (lambda d: d.update(normal=None), "holds arrays that do not belong there: normal_mean"),
    ],
)
def test_what_was_changed_is_refused(combat, change, message, tmp_path, tools):
    with pytest.raises(ModelError, match=message):
        read_site_model(forged(site_model_bytes(combat), tmp_path, tools, change))


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="There is no model file 'x'"):
        load_site_model(tmp_path / "x")
    monkeypatch.setattr("radiocard.models.persist_travel.MAX_FILE", 3)
    (tmp_path / "x").write_bytes(b"PKxx")
    with pytest.raises(ModelError, match="has 4 bytes, expected at most 3"):
        load_site_model(tmp_path / "x")
