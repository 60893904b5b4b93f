import json

import numpy as np
import pytest

from radiocard.cardiac.function import function_values
from radiocard.errors import UsageError
from radiocard.image import LabelMap
from radiocard.segmentation.agreement import compare_patient, mask_measures, summarise
from radiocard.specs import read_spec

DENSITY = {"myocardial_density_g_ml": 1.05}
FEW = {"n_bootstrap": 200, "random_state": 0}


def phases(heart):
    return {phase: heart.case.masks["cine", phase] for phase in ("ed", "es")}


def without(mask, region):
    array = np.where(mask.array == mask.labels[region], 0, mask.array)
    return LabelMap(array, mask.affine, labels=mask.labels)


def test_measures_are_those_of_the_clinical_table(hearts):
    masks = phases(hearts[0])
    settings = read_spec("cine_sax").cardiac
    table = function_values(masks["ed"], masks["es"], {}, settings)
    found = mask_measures(masks, myocardial_density_g_ml=settings.myocardial_density_g_ml)
    assert found == {name: pytest.approx(table[name]) for name in found}
    assert set(found) == {"lvedv_ml", "lvesv_ml", "lvef_pct", "rvedv_ml", "rvesv_ml", "rvef_pct", "lvm_g"}


def test_measures_of_the_masks_are_near_the_truth_of_the_phantom(hearts):
    for heart in hearts[:3]:
        found = mask_measures(phases(heart), **DENSITY)
        assert found["lvedv_ml"] == pytest.approx(heart.truth["lvedv_ml"], rel=0.12)
        assert found["lvef_pct"] == pytest.approx(heart.truth["lvef_pct"], abs=5)


def test_what_is_not_there_is_null(hearts):
    masks = phases(hearts[0])
    no_rv = {"ed": without(masks["ed"], "rv_cavity"), "es": masks["es"]}
    found = mask_measures(no_rv, **DENSITY)
    assert (found["rvedv_ml"], found["rvef_pct"]) == (None, None)
    assert found["rvesv_ml"] > 0
    assert mask_measures({"es": masks["es"]}, **DENSITY)["lvm_g"] is None


def test_a_mask_agrees_with_itself(hearts):
    patients = [compare_patient(phases(h), phases(h), patient_id=h.case.patient_id, **DENSITY) for h in hearts]
    found = summarise(patients, **FEW)
    assert found.n_patients == len(hearts)
    assert {spread.mean.value for spread in found.dice.values()} == {1.0}
    assert {spread.worst for spread in found.hd95_mm.values()} == {0.0}
    assert {d.mae.value for d in found.measures.values()} == {0.0}
    assert set(found.dice) == {f"{p}/{r}" for p in ("ed", "es") for r in ("lv_cavity", "lv_myocardium", "rv_cavity")}


def test_a_missed_region_is_a_dice_of_zero_and_no_volume(hearts):
    patients = []
    for n, heart in enumerate(hearts):
        masks = phases(heart)
        predicted = {"ed": without(masks["ed"], "rv_cavity") if n == 0 else masks["ed"], "es": masks["es"]}
        patients.append(compare_patient(predicted, masks, patient_id=heart.case.patient_id, **DENSITY))
    found = summarise(patients, **FEW)
    assert found.dice["ed/rv_cavity"].mean.value == pytest.approx(1 - 1 / len(hearts))
    assert found.dice["ed/rv_cavity"].worst == 0
    assert found.hd95_mm["ed/rv_cavity"].n_undefined == 1
    assert found.measures["rvef_pct"].n_undefined == 1
    assert found.measures["lvef_pct"].n_undefined == 0
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["measures"]["rvef_pct"]["n_undefined"] == 1


def test_too_large_a_cavity_shows_as_bias(hearts):
    patients = []
    for heart in hearts:
        masks = phases(heart)
        wall = masks["ed"].array == 2
        grown = np.where(wall, 3, masks["ed"].array)
        predicted = {"ed": LabelMap(grown, masks["ed"].affine, labels=masks["ed"].labels), "es": masks["es"]}
        patients.append(compare_patient(predicted, masks, patient_id=heart.case.patient_id, **DENSITY))
    found = summarise(patients, groups={hearts[0].case.patient_id: hearts[1].case.patient_id}, **FEW)
    wall_ml = np.mean([p.reference["lvm_g"] for p in patients]) / 1.05
    assert found.measures["lvedv_ml"].bias.value == pytest.approx(wall_ml)
    assert found.measures["lvedv_ml"].bias.n == len(hearts) - 1


def test_other_phases_are_refused(hearts):
    masks = phases(hearts[0])
    with pytest.raises(UsageError, match="Predicted masks are of ed, reference masks of ed and es"):
        compare_patient({"ed": masks["ed"]}, masks, patient_id="a", **DENSITY)
    with pytest.raises(UsageError, match="are of no phase"):
        compare_patient({}, {}, patient_id="a", **DENSITY)


def test_one_patient_twice_is_refused(hearts):
    one = compare_patient(phases(hearts[0]), phases(hearts[0]), patient_id="a", **DENSITY)
    with pytest.raises(UsageError, match="2 patients, 1 of them different"):
        summarise([one, one], **FEW)
    with pytest.raises(UsageError, match="0 patients"):
        summarise([], **FEW)
