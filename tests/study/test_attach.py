"""Evidence of other commands in the report of an evaluation."""

import json

import numpy as np
import pandas as pd
import pytest

from radiocard.errors import ReadError, UsageError
from radiocard.evaluation.friedman import friedman_nemenyi
from radiocard.evaluation.odds import odds_ratios
from radiocard.evaluation.phenotypes import phenotypes
from radiocard.report.html import render_cohort
from radiocard.report.schema import CohortReport
from radiocard.specs import read_as
from radiocard.specs.checklists import ChecklistSpec
from radiocard.study.attach import FACTS, attach, attach_files
from radiocard.study.checklists import CHECKLISTS
from radiocard.study.further import further_of

EVIL = "<script>alert(1)</script>"


def estimate(value):
    return {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 50.0, "method": "m"}


INCREMENT = {
    "schema": "radiocard/increment/1",
    "sentence": "Texture adds nothing that can be shown.",
    "design": "Five folds.",
    "steps": [{"title": f"+ texture {EVIL}", "n_columns": 7, "scores": {"log_loss": estimate(0.5)}, "gains": {}}],
}
STABILITY = {
    "schema": "radiocard/stability/1",
    "sentence": "Of 9 measurements, 52% have an ICC(A,1) of at least 0.75.",
    "shares": [{"family": "Texture", "n": 9, "good": 0.52, "excellent": 0.1}],
    "notes": ["Frame: not available."],
}
AUDIT = {"schema": "radiocard/explanation-audit/1", "title": "SVM", "sentences": ["Order repeats with 0.9."]}
DRIFT = {
    "schema": "radiocard/monitor/1",
    "columns": [{"column": "lvef_pct", "light": "red", "why": "outside"}] * 14,
    "sentences": ["One column moved."],
}


@pytest.fixture(scope="module")
def odds():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 2))
    y = np.where(x[:, 0] + rng.normal(size=120) > 0, "HCM", "NOR")
    return odds_ratios(pd.DataFrame(x, columns=["lvef_pct", "b"]), y, np.arange(120), reference="NOR")


def report():
    rows = {"clear": ("31", "42", "46", "48"), "metrics": ("14",), "tripod_ai": ("20c",)}
    lists = [
        {
            "key": key, "title": key, "citation": "c", "doi": "d", "n_items": len(numbers), "n_answered": 0,
            "n_open": len(numbers), "n_not_applicable": 0,
            "groups": [{"title": "g", "rows": [
                {"number": n, "topic": "t", "status": "open", "write": "w", "answer": "Known."} for n in numbers
            ]}],
        }
        for key, numbers in rows.items()
    ]  # fmt: skip
    parts = {
        "features": {"n_columns": 3, "n_patients": 9},
        "performance": {"resampling": {"kind": "external test", "sentence": "s", "n_patients": 9, "n_groups": 9}},
        "trust": {"models": [{"model": "m"}]},
        "reasons": {"model": "m", "scale": "log-odds"},
    }
    return CohortReport.model_validate({"title": "T", "checklists": {"checklists": lists}, **parts})


def statuses(made):
    return {r.number: r.status for c in made.checklists.checklists for g in c.groups for r in g.rows}


def test_evidence_stands_in_its_section_and_is_escaped():
    made = attach(report(), [INCREMENT, STABILITY, AUDIT, DRIFT])
    page = render_cohort(made)
    places = [page.index(f'id="{s}"') for s in ("features", "performance", "trust", "reasons")]
    found = [page.index(t) for t in ("Of 9 measurements", "One column moved", "Texture adds nothing", "Order repeats")]
    assert all(a < b for a, b in zip(places, found, strict=True))
    assert found == sorted(found)
    assert EVIL not in page
    assert "2 more columns are in the file." in page
    assert CohortReport.model_validate_json(made.model_dump_json(by_alias=True)) == made


def test_checklists_are_filled_by_what_the_evidence_says():
    made = attach(report(), [INCREMENT, STABILITY])
    assert statuses(made) == {
        "31": "answered", "42": "answered", "46": "open", "48": "answered", "14": "open", "20c": "open",
    }  # fmt: skip
    clear = made.checklists.checklists[0]
    assert (clear.n_answered, clear.n_open) == (3, 1)
    rows = {r.number: r for r in clear.groups[0].rows}
    assert rows["42"].answer == "Known. Texture adds nothing that can be shown."
    assert rows["42"].write is None
    assert rows["46"].answer == f"Known. {STABILITY['sentence']}"
    assert statuses(attach(report(), [DRIFT]))["20c"] == "answered"


def test_every_fact_is_used_by_a_checklist_or_shown():
    used = {
        f
        for name in CHECKLISTS
        for s in read_as(ChecklistSpec, name, "models").sections
        for i in s.items
        for f in (*i.answered_by, *i.partly_by)
    }
    assert set(FACTS) <= used


def test_attaching_again_replaces_and_does_not_repeat():
    once = attach(report(), [STABILITY])
    again = attach(once, [STABILITY | {"sentence": "Other."}])
    assert [p.key for p in again.further] == ["stability"]
    assert again.further[0].sentences[0] == "Other."
    assert attach(once, [STABILITY]) == once


def test_odds_phenotypes_and_ranking_are_told(odds):
    part = further_of(json.loads(json.dumps(odds.to_dict())))
    assert part.table.head == ["Measurement", "Step", "HCM", "p (Holm)"]
    r = odds.ratios[0].ratio
    assert part.table.rows[0][2] == f"{r.value:.2f} ({r.low:.2f} to {r.high:.2f})"
    assert part.table.rows[0][0] == "LV ejection fraction"

    rng = np.random.default_rng(1)
    X = pd.DataFrame(rng.normal(size=(60, 3)) + 9 * (np.arange(60) % 2)[:, None], columns=list("abc"))
    found = phenotypes(X, np.arange(60), ks=(2,), n_resamples=20)
    part = further_of(json.loads(json.dumps(found.to_dict())))
    assert part.sentences[0] == found.sentence
    assert part.table.rows[0][:2] == ["2", "30, 30"]
    assert "ids" not in found.to_dict()

    scores = pd.DataFrame([[0.9, 0.5, 0.4], [0.8, 0.6, 0.5], [0.9, 0.7, 0.1]], columns=["rf", "svm", "tree"])
    ranked = friedman_nemenyi(scores, rows="sites")
    part = further_of(json.loads(json.dumps(ranked.to_dict())))
    assert part.sentences[0].startswith("Over 3 sites, rf ranks first on average (Friedman p = 0.050)")
    assert part.table.rows[0] == ["rf", "1.00", "–"]


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ([{"schema": "radiocard/other/1"}], UsageError, "schema 'radiocard/other/1' is no evidence"),
        ([{"schema": "radiocard/stability/1"}], ReadError, "does not fit its schema 'radiocard/stability/1': KeyError"),
        ([STABILITY, STABILITY], UsageError, "same kind of evidence is given twice: stability"),
    ],
)
def test_what_is_no_evidence_is_refused(data, error, message):
    with pytest.raises(error, match=message):
        attach(report(), data)


def test_a_report_without_the_section_is_refused():
    with pytest.raises(UsageError, match="no section 'features' to attach to"):
        attach(CohortReport(title="T"), [STABILITY])


def test_files_are_read_and_written(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from radiocard.cli import app

    (tmp_path / "r.json").write_text(report().model_dump_json(by_alias=True))
    (tmp_path / "s.json").write_text(json.dumps(STABILITY))
    (tmp_path / "bad.json").write_text("[1]")
    out = tmp_path / "full.html"
    told = CliRunner().invoke(app, ["attach", str(tmp_path / "r.json"), str(tmp_path / "s.json"), "-o", str(out)])
    assert told.exit_code == 0, told.output
    assert STABILITY["sentence"] in out.read_text(encoding="utf-8")
    assert json.loads((tmp_path / "full.json").read_text())["further"][0]["key"] == "stability"
    with pytest.raises(UsageError, match="There is no file 'x.json'"):
        attach_files(tmp_path / "x.json", [], out)
    with pytest.raises(ReadError, match="'bad.json' does not hold a JSON object"):
        attach_files(tmp_path / "r.json", [tmp_path / "bad.json"], out)
    with pytest.raises(ReadError, match="'s.json' is not the JSON of a cohort report"):
        attach_files(tmp_path / "s.json", [], out)
    monkeypatch.setattr("radiocard.study.attach.MAX_BYTES", 3)
    with pytest.raises(ReadError, match="bytes, expected at most 3"):
        attach_files(tmp_path / "s.json", [], out)
