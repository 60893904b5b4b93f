"""A table of several sites, from rows to files."""

import json

import numpy as np
import pandas as pd
import pytest

from radiocard.cohort.row import COVARIATES, PROVENANCE
from radiocard.errors import CohortError
from radiocard.specs import read_recipe
from radiocard.study.train import read_plan
from radiocard.study.transfer import n_steps, transfer, write_transfer

COLUMNS = ("lvef_pct", "lvedv_ml", "lvm_g", "rvef_pct")


def sites_table(n=150, seed=0):
    """Three classes told apart by two clinical columns, three sites with offsets, one patient without a site."""
    rng = np.random.default_rng(seed)
    y = np.array(["DCM", "HCM", "NOR"])[rng.integers(0, 3, n)]
    s = np.array(["A", "B", "C"], dtype=object)[rng.integers(0, 3, n)]
    X = rng.normal(size=(n, 4)) + rng.normal(size=(3, 4))[np.searchsorted(["A", "B", "C"], s.astype(str))]
    X[:, 0] -= 4 * (y == "DCM")
    X[:, 2] += 4 * (y == "HCM")
    index = pd.Index([f"p{i:03d}" for i in range(n)], name="patient_id")
    table = pd.DataFrame(X, columns=list(COLUMNS), index=index)
    for column in (*COVARIATES, *PROVENANCE):
        table[column] = None
    table["diagnosis"], table["site"], table["simulated"] = y, s, False
    table["image_sha256"] = [f"{i:064x}" for i in range(n)]
    table.loc["p000", "site"] = None
    return table


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("radiocard.evaluation.scores.SIMULATIONS", 10)
    recipe = read_recipe("logistic").model_copy(update={"grid": {"C": (1.0,)}})
    recipe = recipe.model_copy(update={"select": recipe.select.model_copy(update={"k": (4,)})})
    return recipe, read_plan("demo").model_copy(update={"n_bootstrap": 100, "inner_folds": 2, "outer_folds": 2})


def test_from_table_to_files(quick, tmp_path):
    table, (recipe, plan), seen = sites_table(), quick, []
    result = transfer(table, recipe=recipe, plan=plan, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 8) for i in range(1, 9)]
    assert n_steps(table) == 8
    assert len(result.left_out) == 4 * 3
    assert len(result.matrix) == 9
    assert "1 patients without a site are left out." in result.notes
    assert set(result.shifts) == {"A", "B", "C"}
    assert set(result.sensitivity["site_scaling"]["A"]) == {"even", "DCM", "HCM", "NOR"}
    page, data = write_transfer(result, tmp_path)
    stored = json.loads(data.read_text())
    assert stored["schema"] == "radiocard/transfer/1"
    assert {j["n_train"] + j["n_test"] for j in stored["left_out"] if j["adaptation"] == "none"} == {149}
    text = page.read_text()
    assert "(transductive)" in text
    assert text.count("| all other sites |") == 12
    assert any("A to B" in line for line in result.lines())


def test_without_normals_no_site_is_described_by_them(quick):
    table, (recipe, plan) = sites_table(), quick
    result = transfer(table, recipe=recipe, plan=plan, normal="nobody")
    assert {j.adaptation for j in result.left_out} == {"none", "combat_unlabelled", "site_scaling"}
    assert n_steps(table, normal="nobody") == 7


def test_refusals(quick):
    table, (recipe, plan) = sites_table(), quick
    with pytest.raises(CohortError, match="holds 1 site"):
        transfer(table[table["site"] == "A"], recipe=recipe, plan=plan)
    table["diagnosis"] = np.where(table["site"] == "A", "DCM", "NOR")
    with pytest.raises(CohortError, match="cannot be told apart"):
        transfer(table, recipe=recipe, plan=plan)
