import subprocess
import sys

import numpy as np
import pytest
from pydantic import TypeAdapter

from radiocard.preprocessing.filters import filtered_images
from radiocard.specs import Discretisation
from radiocard.specs.filters import Filter

RNG = np.random.default_rng(0)
SHAPE = (40, 36, 9)
SPACING = (1.5, 1.5, 6.0)
ARRAY = RNG.normal(300, 80, SHAPE)
FULL = tuple(slice(0, n) for n in SHAPE)
BOXES = [(slice(12, 25), slice(9, 30), slice(2, 7)), (slice(0, 8), slice(20, 36), slice(0, 9))]
PARSE = TypeAdapter(tuple[Filter, ...]).validate_python
WAVELET = {"kind": "separable_wavelet", "wavelet": "db3", "pooling": "average", "boundary": "mirror"}
GABOR = {"kind": "gabor", "sigma_mm": 2, "wavelength_mm": 4, "gamma": 0.8, "pooling": "max", "boundary": "mirror"}
SETTINGS = [
    {"kind": "original"},
    {"kind": "mean", "dimension": "3d", "support_voxel": 5, "boundary": "nearest"},
    {"kind": "laplacian_of_gaussian", "dimension": "3d", "sigma_mm": 3, "truncate": 4, "boundary": "mirror"},
    {
        "kind": "laws",
        "kernels": "L5E5E5",
        "rotation_invariant": True,
        "pooling": "max",
        "energy_distance": 3,
        "boundary": "periodic",
    },
    GABOR | {"theta_deg": 45, "rotation_invariant": True, "orthogonal_planes": True},
    GABOR | {"theta_deg": 20, "rotation_invariant": False, "orthogonal_planes": False},
    WAVELET | {"level": 2, "subbands": ["LLH", "HHH"], "decimated": False, "rotation_invariant": True},
    WAVELET | {"level": 1, "subbands": ["LH"], "decimated": True, "rotation_invariant": False},
    {"kind": "pyradiomics_log", "sigma_mm": [1, 3]},
    {"kind": "pyradiomics_wavelet", "wavelet": "coif1", "start_level": 0, "level": 1, "dimension": "3d"},
    {"kind": "square"},
    {"kind": "squareroot"},
    {"kind": "logarithm"},
    {"kind": "exponential"},
    {"kind": "gradient", "use_spacing": True},
    {"kind": "lbp_2d", "radius": 1, "samples": 8, "method": "uniform"},
]


@pytest.mark.parametrize("one", SETTINGS, ids=lambda s: s["kind"])
def test_a_box_is_a_part_of_the_whole_image(one):
    filters = PARSE([one])
    full = {name: values for name, values, _ in filtered_images(ARRAY, SPACING, filters, FULL)}
    assert tuple(full) == filters[0].names
    for box in BOXES:
        for name, values, _ in filtered_images(ARRAY, SPACING, filters, box):
            unit = float(np.spacing(np.float32(600))) if values.dtype == np.float32 else 0.0
            atol = 1e-9 * np.abs(full[name]).max() + unit
            np.testing.assert_allclose(values, full[name][box], rtol=0, atol=atol, err_msg=name)
            assert values.shape == tuple(part.stop - part.start for part in box)


@pytest.mark.parametrize("one", SETTINGS, ids=lambda s: s["kind"])
def test_storage_of_the_array_does_not_matter(one):
    filters = PARSE([one])
    expected = list(filtered_images(ARRAY, SPACING, filters, BOXES[0]))
    found = list(filtered_images(np.asfortranarray(ARRAY), SPACING, filters, BOXES[0]))
    for (_, a, _), (_, b, _) in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_images_come_with_the_discretisation_of_their_filter():
    own = Discretisation(method="fbs", width=5, max_bins=64)
    filters = PARSE([{"kind": "original"}, {"kind": "square", "discretisation": own}])
    found = [(name, settings) for name, _, settings in filtered_images(ARRAY, SPACING, filters, BOXES[0])]
    assert found == [("original", None), ("square", own)]


def test_the_image_is_left_alone():
    array = ARRAY.copy()
    for _, values, _ in filtered_images(array, SPACING, PARSE(SETTINGS), FULL):
        values += 1.0 if values.flags.writeable and not np.shares_memory(values, array) else 0.0
    np.testing.assert_array_equal(array, ARRAY)


def test_heavy_packages_are_imported_late():
    code = (
        "import sys, radiocard.preprocessing.filters, radiocard.preprocessing.resample, radiocard.preprocessing.axes;"
        "print([m for m in ('SimpleITK', 'pywt', 'scipy', 'radiomics', 'numba') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
