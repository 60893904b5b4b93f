import json

import pytest

import radiocard
from radiocard.errors import UsageError
from radiocard.report.schema import PatientReport
from radiocard.study.patient import write_report


@pytest.fixture(scope="module")
def page(model, newcomer):
    return radiocard.report_patient(model, newcomer, radiocard.read_cohort(newcomer).cases[0].patient_id)


def test_the_report_of_a_new_patient_is_complete(page, model):
    assert page.simulated
    assert not page.answer.out_of_fold
    assert sum(p.probability for p in page.answer.probabilities) == pytest.approx(1)
    assert page.answer.prediction == page.answer.probabilities[0].label
    assert 1 <= len(page.answer.reasons_for) <= 3
    assert {(s.phase, s.level) for s in page.images.slices} == {
        (p, level) for p in ("ed", "es") for level in ("basal", "mid", "apical")
    }
    assert all(s.letters for s in page.images.slices)
    assert page.measures.reference
    assert [b.title for b in page.bulls_eyes] == [
        "Wall thickness, end-diastole",
        "Wall thickness, end-systole",
        "Systolic thickening",
    ]
    assert page.record.model.model_id == model.model_id
    assert page.record.signature is None
    assert page.rule.classes


def test_waterfalls_add_up_to_the_explained_output(page):
    for waterfall in page.why.classes:
        assert waterfall.base + sum(i.contribution for i in waterfall.items) == pytest.approx(
            waterfall.output, abs=1e-6
        )


def test_html_and_json_twin(page, tmp_path):
    paths = write_report(page, tmp_path / "r.html")
    assert [p.name for p in paths] == ["r.html", "r.json"]
    assert PatientReport.model_validate_json((tmp_path / "r.json").read_text()) == page
    html = (tmp_path / "r.html").read_text()
    assert len(html) < 10_000_000
    assert "Simulated" in html
    with pytest.raises(UsageError, match=r"does not end in \.html, \.pdf or \.json"):
        write_report(page, tmp_path / "r.doc")


def test_a_training_patient_is_answered_out_of_fold_and_the_page_says_so(model, simulated_folder):
    patient = radiocard.read_cohort(simulated_folder).cases[4].patient_id
    page = radiocard.report_patient(model, simulated_folder, patient)
    assert page.answer.out_of_fold
    assert "did not see this patient" in page.answer.out_of_fold_note
    expected = model.out_of_fold_of(patient).probabilities
    told = {p.label: p.probability for p in page.answer.probabilities}
    assert [told[c] for c in model.classes] == pytest.approx(expected.tolist())
    assert "trained again without this patient" in page.why.explained_output
    own = [v for story in page.why.features for values in story.strip.values() for v in values]
    assert len(own) == len(page.why.features) * (len(model.labels) - 1)


def test_explain_gives_the_same_answer_as_the_report(page, model, newcomer):
    assert radiocard.explain_patient(model, newcomer, page.patient_id) == page.answer
    with pytest.raises(UsageError, match="has no patient"):
        radiocard.explain_patient(model, newcomer, "nobody")


def test_no_diagnosis_of_the_case_is_on_its_page(page):
    text = json.dumps(page.model_dump(mode="json", by_alias=True)["demographics"])
    assert "DCM" not in text
