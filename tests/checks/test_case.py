import os
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from radiocard.checks.case import check_case, check_grid
from radiocard.image import LABELS_ACDC, REGIONS, Case, Image, LabelMap
from radiocard.io.cohort import read_cohort
from radiocard.specs import read_spec

AFFINE = np.diag([1.5, 1.5, 8.0, 1.0])


def codes(issues):
    return [issue.code for issue in issues]


def only(issues, code, field):
    (issue,) = issues
    assert (issue.code, issue.case, issue.field) == (code, "C0042", field)
    return issue.message


def test_a_good_case_has_no_finding(make_case, spec):
    assert check_case(make_case(), spec) == []


@pytest.mark.parametrize(
    ("verdict", "code", "words"),
    [("warn", "W_MASK_WARN", "warns of them"), ("ask", "W_MASK_ASK", "asks a person to look at them")],
)
def test_a_network_that_doubts_its_masks_is_heard(make_case, spec, verdict, code, words):
    case = replace(make_case(), clinical={"mask_network": "net-1a2b", "mask_verdict": verdict})
    assert only(check_case(case, spec), code, "mask") == (
        f"The masks were drawn by the network net-1a2b; its quality estimate {words}."
    )


def test_masks_that_were_accepted_are_no_finding(make_case, spec):
    case = replace(make_case(), clinical={"mask_network": "net-1a2b", "mask_verdict": "accept"})
    assert check_case(case, spec) == []


# --- phases and grids


@pytest.mark.parametrize("part", ["images", "masks"])
def test_missing_phase(make_case, spec, part):
    case = make_case()
    kept = {key: value for key, value in getattr(case, part).items() if key != ("cine", "es")}
    message = only(check_case(replace(case, **{part: kept}), spec), "E_PHASE", "cine_es")
    assert message == f"There is no {part[:-1]} of cine_es."


def test_empty_case(spec):
    assert codes(check_case(Case("C0042", {}, {}), spec)) == ["E_PHASE", "E_PHASE"]


def test_different_sizes_print_both_grids(make_case, spec, heart):
    case = make_case(image=np.zeros((64, 60, 8)))
    message = only(check_case(case, spec), "E_GEOMETRY", "cine_ed.mask")
    assert "image 64 x 60 x 8 voxels of 1.5 x 1.5 x 8 mm" in message
    assert "mask 64 x 64 x 8 voxels of 1.5 x 1.5 x 8 mm" in message


@pytest.mark.parametrize(("shift_voxel", "accepted"), [(0.0, True), (0.0005, True), (0.002, False), (1.0, False)])
def test_shift_is_judged_in_voxels(shift_voxel, accepted):
    for axis, spacing in enumerate((1.5, 1.5, 8.0)):
        a = np.diag([1.5, 1.5, 8.0, 1.0])
        b = a.copy()
        b[axis, 3] += shift_voxel * spacing
        image, mask = (Image(np.zeros((9, 8, 7)), affine) for affine in (a, b))
        issues = check_grid(image, mask, tolerance_voxel=0.001, case="1", field="m")
        assert (issues == []) is accepted
        if shift_voxel == 1.0:
            assert "their corners are 1 voxels apart, expected at most 0.001" in issues[0].message


def test_lost_spacing_flip_and_missing_orientation_are_refused():
    a = np.diag([1.5, 1.5, 8.0, 1.0])
    grid = Image(np.zeros((9, 8, 7)), a)
    for other in (np.eye(4), np.diag([-1.5, 1.5, 8.0, 1.0])):
        mask = Image(grid.array, other, oriented=False)
        (issue,) = check_grid(grid, mask, tolerance_voxel=0.001, case="1", field="m")
        assert issue.code == "E_GEOMETRY"
        assert "axes RAS" in issue.message
        assert "no orientation stated" in issue.message


# --- grey values


def test_nan_in_a_region_is_counted(make_case, spec, heart):
    image = np.ones(heart().shape)
    image[heart() == 3] = np.where(np.arange((heart() == 3).sum()) < 4, np.nan, 1)
    image[0, 0, 0] = np.inf
    message = only(check_case(make_case(image=image), spec), "E_NONFINITE", "cine_ed.image")
    assert message == "5 voxels are NaN or infinite: 4 in lv_cavity."


def test_nan_outside_every_region_counts_only_where_the_whole_image_is_used(make_case, spec, heart):
    image = np.ones(heart().shape)
    image[0, 0, 0] = np.nan
    assert check_case(make_case(image=image), spec) == []
    whole = spec.model_copy(update={"normalisation": spec.normalisation.model_copy(update={"within": "image"})})
    assert "none in a region" in only(check_case(make_case(image=image), whole), "E_NONFINITE", "cine_ed.image")


def test_identical_phases_are_flagged(make_case, spec):
    case = make_case()
    same = replace(case, images=dict.fromkeys(case.images, case.images["cine", "ed"]))
    assert only(check_case(same, spec), "W_PHASE", None) == "The images of end-diastole and end-systole are identical."


# --- regions


def test_missing_label_lists_what_is_there(make_case, spec, heart):
    labels = heart()
    labels[labels == 1] = 7
    message = only(check_case(make_case(labels), spec), "E_EMPTY_ROI", "cine_ed.mask")
    assert message == "rv_cavity (label 1) has no voxel; labels found: 0, 2, 3, 7."


def test_empty_mask_and_unstated_region(make_case, spec, heart):
    assert codes(check_case(make_case(np.zeros_like(heart())), spec)) == ["E_EMPTY_ROI"] * 3
    stated = {"lv_cavity": 3, "lv_myocardium": 2}
    messages = [issue.message for issue in check_case(make_case(labels=stated), spec)]
    assert len(messages) == 2
    assert all("rv_cavity (no label stated for it)" in message for message in messages)


def test_small_region_is_refused_at_the_limit_of_the_specification(make_case, spec, heart):
    labels = heart()
    rv = np.argwhere(labels == 1)
    for n, found in ((15, ["E_ROI_SIZE"]), (16, [])):
        few = np.where(labels == 1, 0, labels)
        few[tuple(rv[rv[:, 2] == 3][:n].T)] = 1
        issues = [issue for issue in check_case(make_case(few), spec) if issue.severity == "refuse"]
        assert codes(issues) == found
    assert "rv_cavity has 15 voxels, expected at least 16" in str(
        check_case(make_case(np.where(labels == 1, 0, labels) + _few(labels, rv, 15)), spec)
    )


def _few(labels, rv, n):
    out = np.zeros_like(labels)
    out[tuple(rv[:n].T)] = 1
    return out


def test_stray_voxels_are_reported_with_sizes(make_case, spec, heart):
    labels = heart()
    main = int((labels == 1).sum())
    labels[2, 2, 3] = labels[60, 60, 3] = labels[60, 61, 3] = 1
    issues = check_case(make_case(labels), spec)
    assert only(issues, "W_COMPONENTS", "cine_ed.mask") == f"RV cavity is in 3 separate parts of {main}, 2, 1 voxels."
    tolerant = spec.model_copy(update={"checks": spec.checks.model_copy(update={"component_min_voxels": 3})})
    assert check_case(make_case(labels), tolerant) == []


def test_parts_that_touch_at_a_corner_of_the_next_slice_are_one(make_case, spec, heart):
    labels = heart()
    i, j = max(np.argwhere(labels[:, :, 6] == 1).tolist())
    assert labels[i + 1, j, 6] == labels[i, j, 7] == 0
    labels[i + 1, j, 7] = 1
    assert check_case(make_case(labels), spec) == []


def test_gap_in_the_stack_is_flagged(make_case, spec, heart):
    labels = heart()
    labels[:, :, 4] = np.where(labels[:, :, 4] == 1, 0, labels[:, :, 4])
    found = [issue for issue in check_case(make_case(labels), spec) if issue.code == "W_SLICES"]
    assert only(found, "W_SLICES", "cine_ed.mask") == (
        "rv_cavity is missing in 1 slice(s) between its ends, first in slice 5."
    )


@pytest.mark.parametrize(("slices", "flagged"), [(1, True), (2, True), (3, False)])
def test_too_few_slices_are_flagged(make_case, spec, heart, slices, flagged):
    issues = check_case(make_case(heart(slices=slices), heart(7, slices)), spec)
    assert codes(issues) == (["W_SLICES"] * 2 if flagged else [])
    if flagged:
        assert f"lv_myocardium is on {slices} slice(s), expected 3 or more" in issues[0].message


# --- anatomy, through the whole check


@pytest.mark.parametrize("numbers", [p for p in permutations((1, 2, 3)) if p != (1, 2, 3)])
def test_every_wrong_label_order_is_refused_with_the_right_guess(make_case, spec, numbers):
    order = dict(zip(("rv_cavity", "lv_myocardium", "lv_cavity"), numbers, strict=True))
    issues = [issue for issue in check_case(make_case(labels=order), spec) if issue.severity == "refuse"]
    assert codes(issues) == ["E_LABEL_ANATOMY"] * 2
    assert all("lv_cavity=3;lv_myocardium=2;rv_cavity=1" in issue.hint for issue in issues)


# --- real patients, where they are at hand

ACDC = os.environ.get("RADIOCARD_ACDC")


@pytest.mark.skipif(not ACDC, reason="not run: RADIOCARD_ACDC names no ACDC folder")
def test_no_real_patient_is_refused_and_every_wrong_order_is(spec):
    for ref in read_cohort(ACDC).cases:
        case = ref.load()
        assert "refuse" not in {issue.severity for issue in check_case(case, spec)}
        for numbers in permutations((1, 2, 3)):
            order = dict(zip(("rv_cavity", "lv_myocardium", "lv_cavity"), numbers, strict=True))
            masks = {key: replace(mask, labels=order) for key, mask in case.masks.items()}
            refused = "E_LABEL_ANATOMY" in codes(check_case(replace(case, masks=masks), spec))
            assert refused is (numbers != (1, 2, 3)), (case.patient_id, numbers)
    assert set(REGIONS) == set(order)


# --- maps


@pytest.fixture
def t1_spec():
    return read_spec("t1_map")


@pytest.fixture
def make_map_case(heart):
    """``make_map_case(t1_native=1200.0, ecv=27.0)`` gives a case with an even map of each."""

    def make(**values):
        rng = np.random.default_rng(0)
        labels = heart()
        images = {(s, ""): Image(v * rng.normal(1, 0.03, labels.shape), AFFINE) for s, v in values.items()}
        return Case("C0042", images, {key: LabelMap(labels, AFFINE, True, LABELS_ACDC) for key in images})

    return make


def test_good_maps_have_no_finding(make_map_case, t1_spec):
    assert check_case(make_map_case(t1_native=1200.0), t1_spec) == []
    assert check_case(make_map_case(t1_native=1200.0, ecv=27.0, t1_post=450.0), t1_spec) == []


def test_the_map_that_the_specification_is_about_must_be_there(make_map_case, t1_spec):
    (issue,) = check_case(make_map_case(ecv=27.0), t1_spec)
    assert (issue.code, issue.field) == ("E_PHASE", "t1_native")
    assert issue.message == "There is no image of t1_native."
    assert issue.hint == "The specification 't1_map' needs t1_native."


def test_every_measured_map_is_checked_and_no_other(make_map_case, t1_spec):
    seconds = only(check_case(make_map_case(t1_native=1.2, ecv=27.0), t1_spec), "E_UNITS", "t1_native.image")
    assert "it looks like seconds" in seconds
    fraction = only(check_case(make_map_case(t1_native=1200.0, ecv=0.27), t1_spec), "E_UNITS", "ecv.image")
    assert "it looks like a fraction" in fraction
    assert check_case(make_map_case(t1_native=1200.0, t1_post=0.45), t1_spec) == []  # nothing reads it


def test_units_are_not_judged_on_another_grid(make_map_case, t1_spec):
    case = make_map_case(t1_native=1.2)
    image = case.images["t1_native", ""]
    affine = image.affine.copy()
    affine[0, 3] += 9.0
    moved = Image(image.array, affine)
    assert codes(check_case(replace(case, images={("t1_native", ""): moved}), t1_spec)) == ["E_GEOMETRY"]


def test_pixels_without_a_fit_and_saturated_ones_are_counted(make_map_case, t1_spec, heart):
    case = make_map_case(t1_native=1200.0)
    wall = np.argwhere(heart() == 2)
    array = case.images["t1_native", ""].array.copy()
    array[tuple(wall[: len(wall) // 10].T)] = 0.0
    message = only(check_case(with_map(case, array), t1_spec), "W_UNFITTED", "t1_native.image")
    assert "(10.0 %) are zero" in message
    array = case.images["t1_native", ""].array.copy()
    array[tuple(wall[: len(wall) // 20].T)] = 4095.0
    assert "(5.0 %) lie at the greatest value of the map, 4095" in only(
        check_case(with_map(case, array), t1_spec), "W_SATURATED", "t1_native.image"
    )


def test_values_that_no_tissue_has_are_refused(make_map_case, t1_spec, heart):
    case = make_map_case(t1_native=1200.0)
    array = case.images["t1_native", ""].array.copy()
    array[tuple(np.argwhere(heart() == 2)[0])] = -5.0
    assert "1 of" in only(check_case(with_map(case, array), t1_spec), "E_VALUES", "t1_native.image")


def test_maps_have_no_pair_of_phases_to_compare(make_map_case, t1_spec):
    case = make_map_case(t1_native=1200.0, ecv=27.0)
    same = replace(case, images=dict.fromkeys(case.images, case.images["t1_native", ""]))
    assert "W_PHASE" not in codes(check_case(same, t1_spec))


def with_map(case, array):
    return replace(case, images={("t1_native", ""): replace(case.images["t1_native", ""], array=array)})
