import os
import pickle
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from scipy import ndimage

from radiocard.cardiac.function import volume_ml
from radiocard.errors import UsageError
from radiocard.image import LABELS_ACDC
from radiocard.simulate.classes import CLASSES
from radiocard.simulate.cohort import simulate_cohort, simulate_frames, simulate_patient
from radiocard.simulate.images import SITES


def world(mask, affine):
    return affine[:3, :3] @ np.argwhere(mask).mean(axis=0) + affine[:3, 3]


def test_sizes_and_labels(simulated):
    assert len(simulated) == 20
    assert Counter(s.case.clinical["diagnosis"] for s in simulated) == dict.fromkeys(CLASSES, 4)
    assert [s.case.patient_id for s in simulated] == [f"sim-{n:03d}" for n in range(1, 21)]


def test_default_is_at_least_sixty_patients():
    assert simulate_cohort.__kwdefaults__["per_class"] * len(CLASSES) >= 60


def test_identifiers_do_not_reveal_the_group(simulated):
    groups = [s.case.clinical["diagnosis"] for s in simulated]
    blocks = {tuple(groups[i : i + 5]) for i in range(0, 20, 5)}
    assert len(blocks) > 1
    assert all(set(block) == set(CLASSES) for block in blocks)


def test_clinical_covariates(simulated):
    sites = {s.name: s for s in SITES}
    for s in simulated:
        c = s.case.clinical
        assert s.case.simulated
        assert c["sex"] in {"F", "M"}
        assert 18 <= c["age_y"] <= 88
        assert 140 < c["height_cm"] < 200
        assert 40 < c["weight_kg"] < 160
        assert (c["vendor"], c["field_strength_t"]) == (sites[c["site"]].vendor, sites[c["site"]].field_strength_t)
        assert c["vendor"].startswith("Vendor ")
        # Mosteller, NEJM 317 (1987) 1098
        assert s.truth["bsa_m2"] == pytest.approx((c["height_cm"] * c["weight_kg"] / 3600) ** 0.5)
    assert {s.case.clinical["site"] for s in simulated} == {"A", "B", "C"}


def test_images_and_masks_share_a_grid(simulated):
    for s in simulated:
        site = next(x for x in SITES if x.name == s.case.clinical["site"])
        for phase in ("ed", "es"):
            image, mask = s.case.images["cine", phase], s.case.masks["cine", phase]
            assert image.array.shape == mask.array.shape
            assert image.array.dtype == np.int16
            assert image.array.min() >= 0
            assert dict(mask.labels) == dict(LABELS_ACDC)
            np.testing.assert_array_equal(image.affine, mask.affine)
            assert image.spacing_mm == pytest.approx((site.pixel_mm, site.pixel_mm, site.slice_mm))
            axes = image.affine[:3, :3] / image.spacing_mm
            np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
    assert {8 <= s.slice_mm <= 10 and 1.2 <= s.pixel_mm <= 1.6 for s in SITES} == {True}


def test_voxel_volumes_agree_with_the_truth(simulated):
    errors = {"lvedv_ml": [], "lvesv_ml": [], "rvedv_ml": [], "rvesv_ml": [], "lvm_g": [], "lvm_es_g": []}
    regions = {"lv": "lv_cavity", "rv": "rv_cavity"}
    for s in simulated:
        for name, out in errors.items():
            phase = "es" if "es" in name else "ed"
            mask = s.case.masks["cine", phase]
            region, factor = ("lv_myocardium", 1.05) if name.startswith("lvm") else (regions[name[:2]], 1.0)
            measured = factor * mask.mask(region).sum() * mask.voxel_volume_ml
            out.append(measured / s.truth[name] - 1)
    for name, out in errors.items():
        assert abs(np.mean(out)) < 0.003 + 3 * np.std(out, ddof=1) / len(out) ** 0.5, name
        assert np.std(out) < 0.07, name
        assert np.max(np.abs(out)) < 0.16, name


def test_the_valve_plane_descends(simulated):
    slices = [
        [int(s.case.masks["cine", p].mask("lv_cavity").any(axis=(0, 1)).sum()) for p in ("ed", "es")] for s in simulated
    ]
    ed, es = np.transpose(slices)
    assert (es <= ed).all()
    assert (es < ed).mean() > 0.7


def test_myocardium_encloses_the_left_cavity_and_touches_the_right(simulated):
    plus = np.zeros((3, 3, 3), dtype=bool)
    plus[:, 1, 1] = plus[1, :, 1] = True
    for s in simulated:
        for phase in ("ed", "es"):
            mask = s.case.masks["cine", phase]
            lv, myo, rv = (mask.mask(r) for r in ("lv_cavity", "lv_myocardium", "rv_cavity"))
            around = ndimage.binary_dilation(lv, plus) & ~lv
            assert (around & ~myo).sum() == 0
            touching = (ndimage.binary_dilation(rv, plus) & myo).any(axis=(0, 1))
            assert touching[rv.any(axis=(0, 1))].mean() > 0.9
            assert not (ndimage.binary_dilation(rv, plus) & lv).any()


def test_orientation_is_that_of_a_heart(simulated):
    orders = set()
    for s in simulated:
        mask = s.case.masks["cine", "ed"]
        lv, rv, affine = mask.mask("lv_cavity"), mask.mask("rv_cavity"), mask.affine
        area = lv.sum(axis=(0, 1))
        filled = np.flatnonzero(area)
        base, apex = (filled[0], filled[-1]) if area[filled[0]] > area[filled[-1]] else (filled[-1], filled[0])
        orders.add(bool(base < apex))
        axis = affine[:3, 2] * (apex - base)
        assert axis[0] < 0
        assert axis[1] > 0
        assert axis[2] < 0
        right = world(rv, affine) - world(lv, affine)
        assert right[0] > 0
        anterior = np.cross(right, axis)
        assert anterior[1] > 0
        assert anterior[2] > 0
    assert orders == {True, False}


def test_an_inferior_infarct_lies_inferiorly():
    s = simulate_patient("MINF", 37, seed=3)
    assert s.parameters["territory"] == "RCA"
    assert s.parameters["thinning"] > 0.5
    mask = s.case.masks["cine", "ed"]
    middle = np.flatnonzero(mask.mask("lv_cavity").any(axis=(0, 1)))
    k = int(middle[len(middle) // 2])
    lv, wall = (mask.mask(r)[:, :, k] for r in ("lv_cavity", "lv_myocardium"))
    centre = np.argwhere(lv).mean(axis=0)
    offset = np.argwhere(wall) - centre
    step = mask.affine[:3, :2]
    up = (offset @ step.T)[:, 2]
    superior, inferior = (up > 0.7 * up.max()).sum(), (up < 0.7 * up.min()).sum()
    assert inferior < 0.8 * superior


def test_blood_is_bright_and_muscle_dark(simulated):
    for s in simulated:
        image, mask = s.case.images["cine", "ed"].array, s.case.masks["cine", "ed"]
        lv, wall = image[mask.mask("lv_cavity")].mean(), image[mask.mask("lv_myocardium")].mean()
        assert 1.5 < lv / wall < 3.2


def test_same_bits_in_another_process_and_global_state_untouched(simulated):
    code = (
        "import numpy as np; np.random.seed(99)\n"
        "from radiocard.simulate.cohort import simulate_cohort\n"
        "for s in simulate_cohort(per_class=1, seed=20):\n"
        "    print(s.case.images['cine', 'ed'].digest(), s.case.masks['cine', 'ed'].digest())\n"
    )
    env = {**os.environ, "PYTHONHASHSEED": "7"}
    text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
    here = [f"{s.case.images['cine', 'ed'].digest()} {s.case.masks['cine', 'ed'].digest()}" for s in simulated[:5]]
    assert text.split("\n")[:5] == here
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    simulate_patient("NOR", 0, seed=1)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_another_seed_gives_other_patients(simulated):
    other = simulate_cohort(per_class=1, seed=21)
    assert {s.truth["lvedv_ml"] for s in other}.isdisjoint(s.truth["lvedv_ml"] for s in simulated)


def test_permuted_classes_shuffle_the_diagnosis_and_nothing_else(simulated):
    # the shorter cohort also shows that a patient does not depend on the size of the cohort
    shuffled = simulate_cohort(per_class=2, seed=20, permute_classes=True)
    plain = simulated[:10]
    old, new = ([s.case.clinical["diagnosis"] for s in cohort] for cohort in (plain, shuffled))
    assert Counter(old) == Counter(new)
    assert old != new
    assert [s.parameters["group"] for s in shuffled] == old
    for a, b in zip(plain, shuffled, strict=True):
        assert a.truth == b.truth
        assert {**a.case.clinical, "diagnosis": ""} == {**b.case.clinical, "diagnosis": ""}
        for phase in ("ed", "es"):
            assert a.case.images["cine", phase].digest() == b.case.images["cine", phase].digest()
            assert a.case.masks["cine", phase].digest() == b.case.masks["cine", phase].digest()


def test_site_and_other_nuisances_do_not_depend_on_the_group():
    nuisances = ("territory", "territory_shift_deg", "territory_scale", "septal_centre_deg", "apex_mm", "descent")
    for index in range(2):
        patients = [simulate_patient(group, index, seed=8) for group in CLASSES[: 5 - 3 * index]]
        assert len({p.case.clinical["site"] for p in patients}) == 1
        for name in nuisances:
            assert len({p.parameters[name] for p in patients}) == 1, name


def test_a_simulated_case_can_be_sent_to_another_process():
    s = simulate_patient("RV", 2, seed=0)
    back = pickle.loads(pickle.dumps(s))
    assert back.truth == s.truth
    assert back.case.images["cine", "ed"].digest() == s.case.images["cine", "ed"].digest()


@pytest.mark.parametrize(("kwargs", "text"), [({"per_class": 0}, "per_class is 0"), ({"seed": -1}, "seed is -1")])
def test_refuses_impossible_calls(kwargs, text):
    with pytest.raises(UsageError, match=text):
        simulate_cohort(**{"seed": 0, "per_class": 1, **kwargs})


def test_the_frame_beside_is_one_of_twenty_of_a_cosine_and_the_patient_stays_the_same():
    patient, beside = simulate_frames("NOR", 0, seed=4)
    alone = simulate_patient("NOR", 0, seed=4).case
    for key in alone.images:
        np.testing.assert_array_equal(patient.case.images[key].array, alone.images[key].array)
    volumes = {
        (name, phase): volume_ml(case.masks["cine", phase], "lv_cavity")
        for name, case in (("drawn", alone), ("beside", beside))
        for phase in ("ed", "es")
    }
    stroke = volumes["drawn", "ed"] - volumes["drawn", "es"]
    share = (1 - np.cos(np.pi / 10)) / 2
    assert volumes["drawn", "ed"] - volumes["beside", "ed"] == pytest.approx(share * stroke, abs=0.01 * stroke)
    assert volumes["beside", "es"] - volumes["drawn", "es"] == pytest.approx(share * stroke, abs=0.01 * stroke)
