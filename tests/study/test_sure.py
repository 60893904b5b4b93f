import numpy as np
import pytest

import radiocard
from radiocard.report.html import render_patient
from radiocard.study.answer import answer_patient, others
from radiocard.study.sure import MOVED_NOTE, change_in_words, likeness


@pytest.fixture(scope="module")
def page(model, newcomer):
    return radiocard.report_patient(model, newcomer, radiocard.read_cohort(newcomer).cases[0].patient_id)


@pytest.fixture(scope="module")
def table(simulated_folder):
    return radiocard.extract(simulated_folder)


def test_every_change_of_contours_and_image_is_answered(page):
    sure = page.sure
    assert sure.moved_note == MOVED_NOTE
    assert len({m.change for m in sure.moved}) == len(sure.moved) > 8
    assert sure.moved[0].change == "Nothing, as drawn"
    assert sure.moved[0].same
    assert sure.moved[0].probability == pytest.approx(page.answer.probabilities[0].probability, abs=1e-9)


def test_every_model_has_its_say(page, model):
    assert [v.title for v in page.sure.voices] == [m.title for m in model.models]
    assert next(v for v in page.sure.voices if v.title == page.answer.model).label == page.answer.prediction


def test_too_few_patients_for_a_set_is_said(page):
    assert "No set of possible classes is given" in page.sure.possible


def test_the_page_shows_the_section(page):
    html = render_patient(page)
    for title in ("What stays possible", "Do the models agree?", "What would change the answer?"):
        assert title in html


def test_a_training_patient_is_never_compared_with_itself(model, table):
    row = table.iloc[[4]]
    kept = others(model, row)
    assert not kept[model.position(str(row.index[0]), str(row["image_sha256"].iloc[0]))]
    assert kept.sum() == len(model.labels) - 1
    assert np.array_equal(answer_patient(model, row).others, kept)


def test_a_heart_unlike_any_other_is_noticed(model, table):
    row = table.iloc[[4]].assign(image_sha256="0" * 64, **{c: table[c].max() * 10 for c in model.columns})
    row.index = ["stranger"]
    found = likeness(model, row)
    assert found.level == "very unusual"
    assert found.alarm
    usual = likeness(model, table.loc[[table[list(model.columns)].rank(pct=True).sub(0.5).abs().mean(axis=1).idxmin()]])
    assert (usual.level, usual.alarm) == ("usual", False)
    assert "No alarm does not prove" in usual.sentence


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("contours_out_1mm", "Contours 1 mm: both outwards"),
        ("base_added", "Basal slice drawn once more"),
        ("grid", "Grid moved by half a pixel"),
    ],
)
def test_changes_are_named_for_a_reader(name, words):
    assert change_in_words(name) == words
