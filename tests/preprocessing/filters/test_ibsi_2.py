"""Consensus values of IBSI-2, second phase, on the CT phantom, doi:10.1148/radiol.231319."""

import csv
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from radiocard.preprocessing.filters import filtered_images
from radiocard.preprocessing.resample import resample
from radiocard.preprocessing.resegment import resegment
from radiocard.specs import Resampling, Resegmentation
from radiocard.specs.filters import Filter

with (Path(__file__).parents[1] / "data" / "ibsi_2_phase_2.csv").open(encoding="utf-8") as file:
    ROWS = list(csv.DictReader(file))
WAVELET = {
    "kind": "separable_wavelet",
    "wavelet": "db3",
    "decimated": False,
    "rotation_invariant": True,
    "pooling": "average",
}
LAWS = {"kind": "laws", "rotation_invariant": True, "pooling": "max", "energy_distance": 7}
GABOR = {
    "kind": "gabor",
    "sigma_mm": 5,
    "wavelength_mm": 2,
    "gamma": 1.5,
    "theta_deg": 22.5,
    "rotation_invariant": True,
    "pooling": "average",
}
LOG = {"kind": "laplacian_of_gaussian", "sigma_mm": 1.5, "truncate": 4}
CONFIGURATIONS = {  # A in the slice plane, B in space
    "1.A": {"kind": "original"},
    "1.B": {"kind": "original"},
    "2.A": {"kind": "mean", "dimension": "2d", "support_voxel": 5},
    "2.B": {"kind": "mean", "dimension": "3d", "support_voxel": 5},
    "3.A": LOG | {"dimension": "2d"},
    "3.B": LOG | {"dimension": "3d"},
    "4.A": LAWS | {"kernels": "L5E5"},
    "4.B": LAWS | {"kernels": "L5E5E5"},
    "5.A": GABOR | {"orthogonal_planes": False},
    "5.B": GABOR | {"orthogonal_planes": True},
    "6.A": WAVELET | {"level": 1, "subbands": ["LH"]},
    "6.B": WAVELET | {"level": 1, "subbands": ["LLH"]},
    "7.A": WAVELET | {"level": 2, "subbands": ["HH"]},
    "7.B": WAVELET | {"level": 2, "subbands": ["HHH"]},
}


def _statistics(x):
    p10, q1, median, q3, p90 = np.percentile(x, [10, 25, 50, 75, 90])
    mean, variance = x.mean(), x.var()
    robust = x[(x >= p10) & (x <= p90)]
    return {
        "stat_mean": mean,
        "stat_var": variance,
        "stat_skew": ((x - mean) ** 3).mean() / variance**1.5,
        "stat_kurt": ((x - mean) ** 4).mean() / variance**2 - 3,
        "stat_median": median,
        "stat_min": x.min(),
        "stat_p10": p10,
        "stat_p90": p90,
        "stat_max": x.max(),
        "stat_iqr": q3 - q1,
        "stat_range": np.ptp(x),
        "stat_mad": np.abs(x - mean).mean(),
        "stat_rmad": np.abs(robust - robust.mean()).mean(),
        "stat_medad": np.abs(x - median).mean(),
        "stat_cov": np.sqrt(variance) / mean,
        "stat_qcod": (q3 - q1) / (q3 + q1),
        "stat_energy": (x**2).sum(),
        "stat_rms": np.sqrt((x**2).mean()),
    }


@pytest.fixture(scope="module")
def prepared(ct_phantom):
    image, mask, _ = ct_phantom
    asked = Resampling(spacing_mm=(1, 1, 1), interpolation="bspline", mask_interpolation="linear", round_grey=True)
    limits = Resegmentation(range=(-1000, 400), unit="absolute", outliers_sd=None, shape=False)
    grids = {"A": (image, mask), "B": resample(image, mask, settings=asked, convention="ibsi")}
    return {key: (one, resegment(one.array, region, settings=limits)) for key, (one, region) in grids.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_statistics_are_the_consensus(name, prepared):
    image, mask = prepared[name[-1]]
    given = CONFIGURATIONS[name]
    settings = given if given["kind"] == "original" else given | {"boundary": "mirror"}
    hits = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    box = tuple(slice(int(h[0]), int(h[-1]) + 1) for h in hits)
    filters = TypeAdapter(tuple[Filter, ...]).validate_python([settings])
    ((_, values, _),) = filtered_images(image.array, image.spacing_mm, filters, box)
    found = _statistics(values[mask[box]])
    rows = [row for row in ROWS if row["config"] == name]
    assert {row["tag"] for row in rows} == set(found)
    for row in rows:
        assert found[row["tag"]] == pytest.approx(float(row["value"]), rel=0, abs=float(row["tolerance"])), row["tag"]
