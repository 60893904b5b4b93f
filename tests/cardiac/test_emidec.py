"""Checks on real EMIDEC patients; not run where ``RADIOCARD_EMIDEC`` is not set.

The images are 8-bit and scaled slice by slice, and their spacing is lost: shares of the myocardium
can be compared, masses and half maxima cannot.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Picture

from radiocard.cardiac.scar import find_scar, measure_scar_mask
from radiocard.image import Image, LabelMap
from radiocard.specs import read_spec
from radiocard.specs.lge import ScarSettings

EMIDEC = os.environ.get("RADIOCARD_EMIDEC")
pytestmark = pytest.mark.skipif(not EMIDEC, reason="real data: not run (RADIOCARD_EMIDEC is not set)")
LABELS = {"lv_cavity": 1, "lv_myocardium": 2}


@dataclass(frozen=True)
class Patient:
    """One stack; ``drawn`` holds the reader's labels: 2 healthy, 3 infarct, 4 no-reflow."""

    image: Image
    mask: LabelMap
    drawn: np.ndarray

    @property
    def scar(self):
        return self.drawn >= 3


def stack(kind, name):
    files = sorted((Path(EMIDEC) / kind).glob(f"Case_{name}_slice*.png"))
    return np.stack([np.asarray(Picture.open(f)) for f in files], axis=-1)


@pytest.fixture(scope="module")
def patients():
    names = sorted({p.name[5:9] for p in (Path(EMIDEC) / "masks").glob("Case_*.png")})
    out = {}
    for name in names:
        drawn = stack("masks", name)
        mask = LabelMap(np.minimum(drawn, 2), np.eye(4), oriented=False, labels=LABELS)
        out[name] = Patient(Image(stack("images", name), np.eye(4), oriented=False), mask, drawn)
    return out


def settings(method):
    return ScarSettings(
        method=method,
        n_sd=5.0,
        grey_zone_n_sd=2.0,
        edge_pixels=1,
        remote_width_deg=60.0,
        scope="slice",
        include_no_reflow=True,
        entropy={"method": "fbn", "bins": 64, "max_bins": 256},
    )


def share_pct(region, patient):
    return 100.0 * region.sum() / (patient.drawn >= 2).sum()


def test_infarct_share_follows_the_published_volumes(patients):
    table = pd.read_csv(Path(EMIDEC) / "clinical.csv", index_col="case")
    cardiac = read_spec("cine_sax").cardiac
    ours, theirs = [], []
    for name, patient in patients.items():
        if name[0] == "P":
            measured = measure_scar_mask(patient.drawn == 3, patient.mask, cardiac, no_reflow=patient.drawn == 4)
            ours.append(measured.values["scar_pct"])
            row = table.loc[int(name[1:])]
            theirs.append(100.0 * row["inf"] / row["myo"])
    assert len(ours) == 30
    assert np.corrcoef(ours, theirs)[0, 1] >= 0.99


def test_infarcts_start_at_the_endocardium(patients):
    cardiac = read_spec("cine_sax").cardiac
    shares = [
        measure_scar_mask(p.drawn == 3, p.mask, cardiac, no_reflow=p.drawn == 4).values["scar_ischaemic_pattern_pct"]
        for name, p in patients.items()
        if name[0] == "P"
    ]
    assert np.median(shares) > 50.0


@pytest.mark.parametrize("method", ["otsu", "gmm"])
def test_methods_that_divide_anything_can_return_no_scar(patients, method):
    """Without a criterion Otsu's method calls a median of 42 % of normal myocardium scar."""
    found = {n: share_pct(find_scar(p.image, p.mask, settings(method)).array, p) for n, p in patients.items()}
    normal = [share for name, share in found.items() if name[0] == "N"]
    infarcts = [share for name, share in found.items() if name[0] == "P"]
    assert len(normal) == 20
    assert np.median(normal) == 0.0
    assert np.median(infarcts) > 5.0
