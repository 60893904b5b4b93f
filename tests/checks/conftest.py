"""A heart of discs: LV cavity inside a ring of myocardium, RV beside it, six slices."""

from dataclasses import replace

import numpy as np
import pytest

from radiocard.image import LABELS_ACDC, Case, Image, LabelMap
from radiocard.specs import read_spec

AFFINE = np.diag([1.5, 1.5, 8.0, 1.0])


def heart(radius=9, slices=6):
    """Label map in ACDC order, shape (64, 64, slices + 2)."""
    i, j = np.mgrid[:64, :64]
    lv, rv = np.hypot(i - 30, j - 26), np.hypot(i - 30, j - 44)
    plane = np.zeros((64, 64), "u1")
    plane[rv <= radius] = 1
    plane[lv <= radius + 5] = 2
    plane[lv <= radius] = 3
    out = np.zeros((64, 64, slices + 2), "u1")
    out[:, :, 1:-1] = plane[:, :, None]
    return out


@pytest.fixture(name="heart")
def heart_fixture():
    """Return the function that draws the label map."""
    return heart


@pytest.fixture
def spec():
    return read_spec("cine_sax")


@pytest.fixture
def make_case():
    """``make_case(ed=labels, es=labels, image=..., labels=...)`` gives a case; both phases by default."""

    def make(ed=None, es=None, *, image=None, labels=LABELS_ACDC, affine=AFFINE, mask_affine=AFFINE):
        ed, es = heart() if ed is None else ed, heart(7) if es is None else es
        rng = np.random.default_rng(0)
        images = {("cine", p): Image(rng.normal(100, 9, a.shape), affine) for p, a in (("ed", ed), ("es", es))}
        if image is not None:
            images["cine", "ed"] = replace(images["cine", "ed"], array=image)
        masks = {("cine", p): LabelMap(a, mask_affine, True, labels) for p, a in (("ed", ed), ("es", es))}
        return Case("C0042", images, masks)

    return make
