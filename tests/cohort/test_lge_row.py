"""From a late gadolinium stack to a row of the table."""

import numpy as np
import pytest

from radiocard.cohort.row import case_row
from radiocard.image import Case, LabelMap
from radiocard.io.cohort import read_cohort, write_manifest_cohort
from radiocard.simulate.lge import simulate_lge
from radiocard.simulate.scars import ScarParameters
from radiocard.specs import read_spec

LABELS = {"rv_cavity": 1, "lv_myocardium": 2, "lv_cavity": 3, "lv_scar": 4, "no_reflow": 5}


@pytest.fixture(scope="module")
def stack():
    return simulate_lge(ScarParameters("subendocardial", transmurality=0.8, no_reflow=0.4), seed=5)


def row(case, folder):
    cohort = read_cohort(write_manifest_cohort([case], folder))
    return case_row(cohort.cases[0], read_spec("lge_sax"))


def test_scar_that_was_drawn_is_measured_as_drawn(stack, tmp_path):
    drawn = np.where(stack.scar, 4, stack.mask.array)
    drawn = np.where(stack.no_reflow, 5, drawn)
    mask = LabelMap(drawn, stack.mask.affine, labels=LABELS)
    found = row(Case("one", {("lge", ""): stack.image}, {("lge", ""): mask}, {"diagnosis": "ISCH"}), tmp_path)
    wall = stack.mask.mask("lv_myocardium").sum()
    assert found.values["scar_pct"] == pytest.approx(100 * stack.scar.sum() / wall)
    assert found.values["no_reflow_pct"] == pytest.approx(100 * stack.no_reflow.sum() / wall)
    assert found.values["scar_mass_g"] == pytest.approx(stack.truth["scar_mass_g"], rel=0.1)
    assert found.values["lge_entropy_bit"] > 0
    assert found.values["scar_ischaemic_pattern_pct"] > 80


def test_texture_does_not_see_where_scar_was_drawn(stack, tmp_path):
    drawn = LabelMap(np.where(stack.scar, 4, stack.mask.array), stack.mask.affine, labels=LABELS)
    rows = [
        row(Case("one", {("lge", ""): stack.image}, {("lge", ""): mask}, {}), tmp_path / name).values
        for name, mask in (("drawn", drawn), ("plain", stack.mask))
    ]
    texture = [c for c in rows[0] if c.startswith("lv_myocardium__lge__")]
    assert len(texture) > 60
    assert [rows[0][c] for c in texture] == [rows[1][c] for c in texture]


def test_without_a_drawing_scar_is_found_in_the_image(stack, tmp_path):
    found = row(Case("one", {("lge", ""): stack.image}, {("lge", ""): stack.mask}, {}), tmp_path)
    assert found.values["scar_pct"] == pytest.approx(stack.truth["scar_pct"], rel=0.5)
    assert found.values["scar_core_pct"] is not None


def test_a_heart_without_right_ventricle_has_no_segments_and_says_so(stack, tmp_path):
    labels = {"lv_myocardium": 2, "lv_cavity": 3}
    mask = LabelMap(np.where(stack.mask.array == 1, 0, stack.mask.array), stack.mask.affine, labels=labels)
    found = row(Case("one", {("lge", ""): stack.image}, {("lge", ""): mask}, {}), tmp_path)
    assert found.values["scar_aha_01_pct"] is None
    assert [i.message for i in found.issues if i.code == "W_ORIENTATION"] == [
        "The masks hold no right ventricle, so segments cannot be placed."
    ]
