"""What the list of features says does not change a value does not change it, and nothing else is left out."""

import numpy as np
import pytest
from scipy import ndimage

from radiocard.features.catalogue import FEATURES
from radiocard.features.extract import extract_region
from radiocard.features.registry import full_tags
from radiocard.image import Image
from radiocard.specs import FeatureSpec, parse_as, read_spec

MATRICES = ("glcm", "glrlm", "glszm", "gldzm", "ngtdm", "ngldm")
OTHERS = ("shape_3d", "shape_2d", "local_intensity", "intensity", "histogram", "ivh")
SPACING = (1.5, 1.5, 8.0)


def make_spec(convention, discretisation):
    own = {
        "name": "test",
        "description": "test",
        "convention": convention,
        "normalisation": {"method": "none", "within": "labelled"},
        "discretisation": discretisation | {"max_bins": 64},
        "families": (*OTHERS, *MATRICES),
        "texture": {"aggregation": ("3d_avg",), "distances": (1,), "weighting": "none", "coarseness": 0},
        "ivh": {"method": "fbn", "bins": 100},
    }
    return parse_as(FeatureSpec, read_spec("cine_sax").settings() | own, "test")


SPECS = {convention: make_spec(convention, {"method": "fbn", "bins": 8}) for convention in ("ibsi", "pyradiomics")}


@pytest.fixture(scope="module")
def region():
    rng = np.random.default_rng(3)
    values = 300 + 90 * rng.normal(size=(16, 14, 8)) + np.arange(16)[:, None, None]
    mask = ndimage.gaussian_filter(rng.normal(size=values.shape), 1.5) > 0
    mask[[0, 1, -1]] = mask[:, [0, 1, -1]] = mask[:, :, [0, -1]] = False
    return values, mask


def describe(values, mask, spec, affine=None):
    affine = np.diag([*SPACING, 1.0]) if affine is None else affine
    found = extract_region(Image(values, affine), mask, spec)
    wanted = [f for f in FEATURES.values() if f.convention == "both" or spec.convention == "pyradiomics"]
    return {f.tag: found[full_tags(f, spec)[0]] for f in wanted}


def unchanged(before, after):
    """Tags whose values are equal; the tolerance is that of sums in another order."""
    scale = {tag: max(abs(before[tag] or 0), abs(after[tag] or 0)) for tag in before}
    return {
        tag
        for tag in before
        if before[tag] == after[tag]
        or (None not in {before[tag], after[tag]} and abs(before[tag] - after[tag]) <= 1e-9 * scale[tag] + 1e-12)
    }


def listed(name, tags):
    return {tag for tag in tags if {name, f"{name} (fbn)"} & set(FEATURES[tag].invariances)}


@pytest.mark.parametrize("convention", SPECS)
@pytest.mark.parametrize(
    ("name", "change"), [("intensity shift", lambda x: x + 137.25), ("intensity scale", lambda x: 3.5 * x)]
)
def test_shift_and_scale_change_exactly_what_is_not_listed(region, convention, name, change):
    values, mask = region
    before = describe(values, mask, SPECS[convention])
    after = describe(change(values), mask, SPECS[convention])
    any_values = {tag for tag in before if "intensity" in FEATURES[tag].invariances}
    assert unchanged(before, after) == listed(name, before) | any_values


@pytest.mark.parametrize("convention", SPECS)
def test_voxel_size_changes_exactly_what_is_not_listed(region, convention):
    values, mask = region
    before = describe(values, mask, SPECS[convention])
    after = describe(values, mask, SPECS[convention], np.diag([*(2 * s for s in SPACING), 1.0]))
    assert unchanged(before, after) == listed("voxel size", before)


@pytest.mark.parametrize("convention", SPECS)
def test_other_grey_values_leave_shape(region, convention):
    values, mask = region
    other = np.random.default_rng(9).normal(100, 20, values.shape)
    before, after = (describe(v, mask, SPECS[convention]) for v in (values, other))
    same = unchanged(before, after)
    assert listed("intensity", before) <= same
    assert {tag for tag in same if tag.startswith(("morph", "stat", "loc"))} == listed("intensity", before)


@pytest.mark.parametrize("convention", SPECS)
def test_rearranged_voxels_leave_statistics(region, convention):
    values, mask = region
    other = values.copy()
    other[mask] = np.random.default_rng(5).permutation(values[mask])
    before, after = (describe(v, mask, SPECS[convention]) for v in (values, other))
    same = unchanged(before, after)
    assert listed("arrangement", before) <= same
    assert not {tag for tag in same if tag.startswith(("rlm", "szm", "dzm_sd", "ngt"))}


@pytest.mark.parametrize("convention", SPECS)
def test_translation_changes_nothing(region, convention):
    values, mask = (np.pad(a, 12, mode="edge" if a.dtype == float else "constant") for a in region)
    before = describe(values, mask, SPECS[convention])
    moved = [np.roll(a, (3, -4, 2), axis=(0, 1, 2)) for a in (values, mask)]
    assert unchanged(before, describe(*moved, SPECS[convention])) == listed("translation", before) == set(before)


@pytest.mark.parametrize("axes", [(1, 0, 2), (2, 0, 1), (2, 1, 0)])
def test_storage_order_changes_nothing(region, axes):
    values, mask = region
    before = describe(values, mask, SPECS["ibsi"])
    affine = np.eye(4)
    affine[:3, :3] = np.diag(SPACING)[:, axes]
    after = describe(values.transpose(axes), mask.transpose(axes), SPECS["ibsi"], affine)
    assert unchanged(before, after) == listed("storage order", before) == set(before)


@pytest.mark.parametrize("convention", SPECS)
def test_exchanged_grey_levels(region, convention):
    spec = make_spec(convention, {"method": "fbs", "width": 1})
    rng = np.random.default_rng(7)
    levels = ndimage.uniform_filter(rng.normal(size=region[0].shape), 2)
    levels = np.digitize(levels, np.quantile(levels, [0.2, 0.4, 0.6, 0.8])) + 1
    exchanged = np.array([0, 3, 5, 1, 4, 2])[levels]
    before, after = (describe(v.astype(float), region[1], spec) for v in (levels, exchanged))
    same = unchanged(before, after)
    assert listed("level permutation", before) <= same
    assert {tag for tag in same if tag.startswith(("cm", "rlm", "szm", "dzm", "ngl"))} == listed(
        "level permutation", before
    ) - {"ih_entropy", "ih_uniformity"}
