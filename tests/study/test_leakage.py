"""The audit of a table: its findings, its verdict, its words."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from radiocard.errors import CohortError, LeakError, UsageError
from radiocard.evaluation.intervals import Estimate
from radiocard.evaluation.leakage import PermutedScore
from radiocard.specs import EvaluationPlan, ModelRecipe
from radiocard.study import leakage
from radiocard.study.leakage import check_leakage, permuted_findings, score_findings

PLAN = EvaluationPlan.model_validate(
    {
        "schema": "radiocard/evaluation/1",
        "name": "test",
        "outer_folds": 3,
        "repeats": 2,
        "inner_folds": 2,
        "n_bootstrap": 200,
        "calibration_bins": 5,
        "random_state": 0,
    }
)
RECIPE = ModelRecipe.model_validate(
    {
        "schema": "radiocard/model-recipe/1",
        "name": "logistic",
        "title": "Logistic",
        "estimator": "logistic",
        "fixed": {"max_iter": 500, "C": 1.0},
        "grid": {},
        "scale": "standard",
        "correlation_max": 1.0,
        "select": {"method": "anova", "k": (3,)},
        "calibration": "none",
    }
)


def foreign(n=40, p=8, shift=0.8, seed=0):
    rng = np.random.default_rng(seed)
    ids = pd.Index([f"p{i:02d}" for i in rng.permutation(n)], name="patient_id")
    table = pd.DataFrame(rng.normal(size=(n, p)), index=ids).add_prefix("c")
    table["diagnosis"] = ["ill", "well"] * (n // 2)
    table["c0"] += np.where(table["diagnosis"] == "ill", shift, -shift)
    return table


def check(table, **options):
    return check_leakage(table, **{"models": [RECIPE], "plan": PLAN, "permutations": 4} | options)


@pytest.fixture(scope="module")
def audit():
    return check(foreign())


def test_a_clean_table_has_nothing_to_fix(audit):
    assert not audit.must_fix
    assert [f.severity for f in audit.findings if f.topic in ("patients", "columns", "score")] == []
    assert (audit.n_patients, audit.n_groups, audit.n_columns) == (40, 40, 8)
    assert audit.classes == {"ill": 20, "well": 20}
    assert "repeated 1 time " in audit.design


def test_the_audit_is_told_in_lines_and_in_json(audit):
    text = "\n".join(audit.lines())
    assert "Permuted labels through the whole pipeline (4 permutations, macro AUC, chance 0.50)" in text
    assert "Columns chosen inside the folds, or once on all rows before them" in text
    assert text.endswith("Nothing has to be fixed.")
    data = json.loads(json.dumps(audit.to_dict()))
    assert data["must_fix"] is False
    assert data["permuted"][0]["verdict"] == audit.permuted[0].verdict
    assert data["counterfactuals"][0]["optimism"]["value"] == audit.counterfactuals[0].optimism.value


def test_faults_that_are_planted_must_be_fixed_and_stand_first():
    table = foreign()
    table["code"] = np.where(table["diagnosis"] == "ill", 1.0, 2.0)
    table["image_sha256"] = [f"{i}" for i in range(40)]
    table.iloc[2, table.columns.get_loc("image_sha256")] = "0"
    table["fold"] = np.repeat([0, 1], 20)
    table.iloc[2, table.columns.get_loc("fold")] = 1
    found = check(table)
    assert found.must_fix
    fixes = [f for f in found.findings if f.severity == "fix"]
    assert list(found.findings[: len(fixes)]) == fixes
    assert {f.code for f in fixes if f.topic == "patients"} == {"E_LEAK_PATIENT"}
    assert [f.columns for f in fixes if f.topic == "columns"] == [("code",)]
    assert any("too good to be true" in f.message for f in found.findings)
    assert found.n_groups == 39
    assert found.n_columns == 9
    assert found.lines()[-1] == f"To be fixed: {len(fixes)}."
    assert "fix   E_LEAK_PATIENT: " in "\n".join(found.lines())


def test_a_table_that_was_extracted_is_audited_by_its_pool(table):
    plain = check(table, permutations=2)
    assert plain.n_columns == 20
    assert not plain.must_fix
    with pytest.raises(UsageError, match="no pool 'textures'"):
        check(table, pool="textures")


def test_tables_that_cannot_be_audited_are_refused():
    table = foreign()
    with pytest.raises(CohortError, match="no column 'disease'"):
        check(table, target="disease")
    with pytest.raises(CohortError, match="no column 'part'"):
        check(table, split="part")
    with pytest.raises(CohortError, match="no column is numeric: diagnosis"):
        check(table[["diagnosis"]])
    with pytest.raises(LeakError, match="Identical images carry different labels"):
        check(table.assign(image_sha256="1"))
    with pytest.raises(UsageError, match="1 permutations"):
        check(table, permutations=1)


def score(low, high, p, observed=(0.8, 0.7, 0.9)):
    mean = Estimate((low + high) / 2, low, high, 40, "t")
    return PermutedScore("m", "M", Estimate(*observed, 40, "b"), mean, p, (0.5, 0.5))


def test_the_verdict_follows_the_interval():
    (above,) = permuted_findings(score(0.51, 0.6, 0.01))
    assert (above.severity, above.topic) == ("fix", "labels")
    assert "finds permuted labels" in above.message
    (below,) = permuted_findings(score(0.4, 0.49, 0.01))
    assert below.severity == "note"
    assert permuted_findings(score(0.45, 0.55, 0.05)) == []
    (unclear,) = permuted_findings(score(0.45, 0.55, 0.06))
    assert unclear.severity == "look"
    assert "not told from chance" in unclear.message


def test_inner_folds_that_promise_more_than_the_outer_ones_keep_are_looked_at():
    table = foreign()
    data = leakage._data(table, target="diagnosis", pool=None, task=leakage.read_task("cine"), split=None)
    labels = leakage.audit_labels(data.X, data.y, data.groups, recipes=[RECIPE], plan=PLAN, n_permutations=2)
    assert score_findings(labels, PLAN) == []
    folds = tuple(replace(f, inner_log_loss={"logistic": 0.01}) for f in labels.result.folds)
    (found,) = score_findings(replace(labels, result=replace(labels.result, folds=folds)), PLAN)
    assert found.severity == "look"
    assert "inner folds promise a log-loss of 0.010" in found.message
