import json
from types import SimpleNamespace

import numpy as np
import pytest

from radiocard.errors import CohortError, GeometryError, MaskError, ReadError
from radiocard.image import LABELS_ACDC, LABELS_MNMS, Image, LabelMap
from radiocard.io.case_ref import CaseRef, FilePair
from radiocard.io.nifti import write_image
from radiocard.segmentation.adapters import (
    LABELS_MONAI,
    LABELS_TOTALSEGMENTATOR,
    STRUCTURES,
    monai_masks,
    nnunet_masks,
    read_mask,
    stated_masks,
    totalsegmentator_masks,
)

AFFINE = np.diag([1.5, 1.5, 8.0, 1.0])
KEY = ("cine", "ed")
RV, WALL, LV = 1, 2, 3


def codes():
    i, j = np.meshgrid(np.arange(40), np.arange(40), indexing="ij")
    out = np.zeros((40, 40, 4), np.uint8)
    out[np.hypot(i - 10, j - 20) < 7] = RV
    out[np.hypot(i - 25, j - 20) < 10] = WALL
    out[np.hypot(i - 25, j - 20) < 6] = LV
    return out


def numbered(labels, array=None):
    numbers = np.array([0, labels["rv_cavity"], labels["lv_myocardium"], labels["lv_cavity"]])
    return numbers[codes() if array is None else array].astype(np.uint8)


@pytest.fixture
def place(tmp_path):
    """One patient, an image, and a folder for masks."""
    image = Image(np.zeros((40, 40, 4), np.int16), AFFINE)
    path = tmp_path / "images" / "p1_frame01_0000.nii.gz"
    write_image(path, image)
    folder = tmp_path / "masks"
    folder.mkdir()
    ref = CaseRef("p1", {KEY: FilePair(path, path)}, {})
    return SimpleNamespace(ref=ref, image=image, folder=folder)


def put(folder, name, array, affine=AFFINE):
    write_image(folder / name, Image(array, affine))


def read(place, source):
    return read_mask(source, place.ref, KEY, place.image)


def test_monai_numbers_are_those_of_its_metadata(place):
    # "1": "lv_pool", "2": "myocardium", "3": "rv_pool"
    assert dict(LABELS_MONAI) == {"lv_cavity": 1, "lv_myocardium": 2, "rv_cavity": 3} == dict(LABELS_MNMS)
    put(place.folder, "p1.nii.gz", numbered(LABELS_MONAI))
    found = read(place, monai_masks(place.folder, pattern="{patient}.nii.gz"))
    np.testing.assert_array_equal(found.array, codes())
    assert found.labels == dict(LABELS_ACDC)


def test_monai_masks_do_not_hold_other_numbers(place):
    array = numbered(LABELS_MONAI)
    array[0, 0, 0] = 5
    put(place.folder, "p1.nii.gz", array)
    with pytest.raises(MaskError, match="holds the numbers 5, expected 0, 1, 2, 3"):
        read(place, monai_masks(place.folder, pattern="{patient}.nii.gz"))


def nnunet(folder, labels, **fields):
    (folder / "dataset.json").write_text(json.dumps({"labels": labels, "file_ending": ".nii.gz", **fields}))


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ({"background": 0, "RV": 1, "MLV": 2, "LVC": 3}, None),
        ({"background": 0, "lv_cavity": 1, "lv_myocardium": 2, "rv_cavity": 3, "aorta": 4}, None),
        ({"background": 0, "L": 7, "M": 5, "R": 6}, {"L": "lv_cavity", "M": "lv_myocardium", "R": "rv_cavity"}),
    ],
)
def test_nnunet_numbers_are_those_of_its_dataset_json(place, labels, names):
    nnunet(place.folder, labels)
    source = nnunet_masks(place.folder, names=names)
    put(place.folder, "p1_frame01.nii.gz", numbered(source.labels))
    np.testing.assert_array_equal(read(place, source).array, codes())


def test_nnunet_names_that_are_not_known_are_refused(place):
    nnunet(place.folder, {"background": 0, "LV": 1, "MYO": 2, "RV": 3})
    with pytest.raises(CohortError, match="names LV, MYO, RV; none of them is known as lv_cavity, lv_myocardium"):
        nnunet_masks(place.folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read: JSONDecodeError"),
        ("[]", "does not give each label one number"),
        ('{"labels": {"whole": [1, 2]}}', "does not give each label one number"),
        ('{"labels": {"0": "background", "1": "RV"}}', "does not give each label one number"),
        ('{"labels": {"RV": 1}, "file_ending": ".png"}', "file ending '.png'"),
        (" " * (1 << 21), "is larger than"),
    ],
)
def test_a_bad_dataset_json_is_refused(place, text, message):
    (place.folder / "dataset.json").write_text(text)
    with pytest.raises(CohortError, match=message):
        nnunet_masks(place.folder)


def test_without_dataset_json_it_is_no_nnunet_folder(place):
    with pytest.raises(CohortError, match="cannot be read: FileNotFoundError"):
        nnunet_masks(place.folder)


def structures(folder, array=None, skip=()):
    array = codes() if array is None else array
    for region, name in STRUCTURES.items():
        if region not in skip:
            put(folder, f"{name}.nii.gz", (array == LABELS_ACDC[region]).astype(np.uint8))


def test_totalsegmentator_structures_are_joined(place):
    structures(place.folder / "p1_ed")
    source = totalsegmentator_masks(place.folder, pattern="{patient}_{phase}", multilabel=False)
    np.testing.assert_array_equal(read(place, source).array, codes())


def test_totalsegmentator_numbers(place):
    # 1 heart_myocardium, 2 heart_atrium_left, 3 heart_ventricle_left, 4 heart_atrium_right, 5 heart_ventricle_right
    assert dict(LABELS_TOTALSEGMENTATOR) == {"lv_myocardium": 1, "lv_cavity": 3, "rv_cavity": 5}
    array = numbered(LABELS_TOTALSEGMENTATOR)
    array[0, :5, 0], array[1, :5, 0] = 2, 7
    put(place.folder, "p1.nii.gz", array)
    source = totalsegmentator_masks(place.folder, pattern="{patient}.nii.gz", multilabel=True)
    np.testing.assert_array_equal(read(place, source).array, codes())


def test_a_missing_structure_is_named(place):
    structures(place.folder / "p1", skip=("rv_cavity",))
    source = totalsegmentator_masks(place.folder, pattern="{patient}", multilabel=False)
    with pytest.raises(ReadError, match=r"There is no mask 'heart_ventricle_right.nii.gz'"):
        read(place, source)


def test_structures_that_overlap_are_refused(place):
    structures(place.folder / "p1")
    put(place.folder / "p1", "heart_ventricle_right.nii.gz", ((codes() == RV) | (codes() == LV)).astype(np.uint8))
    source = totalsegmentator_masks(place.folder, pattern="{patient}", multilabel=False)
    with pytest.raises(MaskError, match="voxels of heart_ventricle_right belong to another structure too"):
        read(place, source)


def test_a_structure_with_several_numbers_is_refused(place):
    structures(place.folder / "p1")
    put(place.folder / "p1", "heart_myocardium.nii.gz", codes())
    source = totalsegmentator_masks(place.folder, pattern="{patient}", multilabel=False)
    with pytest.raises(MaskError, match="file of heart_myocardium holds numbers up to 3, expected 0 and 1"):
        read(place, source)


def test_structures_on_different_grids_are_refused(place):
    structures(place.folder / "p1")
    put(place.folder / "p1", "heart_ventricle_left.nii.gz", (codes() == LV).astype(np.uint8), np.diag([1, 1, 8, 1.0]))
    source = totalsegmentator_masks(place.folder, pattern="{patient}", multilabel=False)
    with pytest.raises(GeometryError, match="are on different grids"):
        read(place, source)


def test_a_stated_convention(place):
    labels = "lv_cavity=10;lv_myocardium=20;rv_cavity=30"
    put(place.folder, "ed-p1.nii.gz", numbered({"lv_cavity": 10, "lv_myocardium": 20, "rv_cavity": 30}))
    found = read(place, stated_masks(place.folder, labels=labels, pattern="{phase}-{patient}.nii.gz"))
    np.testing.assert_array_equal(found.array, codes())


def test_a_convention_without_a_region_is_refused(place):
    with pytest.raises(CohortError, match="give no number for rv_cavity"):
        stated_masks(place.folder, labels="lv_cavity=1;lv_myocardium=2", pattern="{patient}.nii.gz")


def acdc(place):
    return stated_masks(place.folder, labels="acdc", pattern="{patient}.nii.gz")


def test_the_wrong_convention_is_seen(place):
    put(place.folder, "p1.nii.gz", numbered(LABELS_MNMS))
    with pytest.raises(MaskError, match="E_LABEL_ANATOMY.*The labels look like"):
        read(place, acdc(place))


def test_a_missing_label_is_named(place):
    put(place.folder, "p1.nii.gz", np.where(codes() == RV, 0, codes()).astype(np.uint8))
    with pytest.raises(MaskError, match=r"Label 1 \(rv_cavity\) is not present; labels found: 0, 2, 3"):
        read(place, acdc(place))


def test_numbers_that_are_not_whole_are_refused(place):
    put(place.folder, "p1.nii.gz", codes().astype(np.float32) * 0.9)
    with pytest.raises(MaskError, match="are not whole numbers"):
        read(place, acdc(place))


def test_another_grid_is_refused(place):
    put(place.folder, "p1.nii.gz", codes(), np.diag([1.4, 1.5, 8.0, 1.0]))
    with pytest.raises(GeometryError, match="different grids"):
        read(place, acdc(place))


def test_a_missing_mask_is_named_without_its_folder(place):
    with pytest.raises(ReadError, match=r"There is no mask 'p1.nii.gz'") as caught:
        read(place, acdc(place))
    assert str(place.folder) not in str(caught.value)


@pytest.mark.parametrize("pattern", ["../{patient}.nii", "/{patient}.nii", "{patient.x}.nii", "{frame}_{patient}.nii"])
def test_a_pattern_stays_in_the_folder(place, pattern):
    with pytest.raises(CohortError, match="The pattern is .* expected a path in the folder"):
        stated_masks(place.folder, labels="acdc", pattern=pattern)


def test_a_pattern_names_the_patient(place):
    with pytest.raises(CohortError, match="names the same mask for every patient"):
        stated_masks(place.folder, labels="acdc", pattern="{phase}.nii.gz")


def test_another_label_map_type_is_not_needed(place):
    put(place.folder, "p1.nii.gz", codes().astype(np.float32))
    assert isinstance(read(place, acdc(place)), LabelMap)
