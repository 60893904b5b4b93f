import importlib
import os

import numpy as np
import pytest
from scipy import ndimage

from radiocard.image import LabelMap
from radiocard.segmentation.clean import clean_mask, most_probable
from radiocard.segmentation.confidence import region_confidence
from radiocard.segmentation.overlap import compare_masks
from radiocard.segmentation.probabilities import Probabilities
from radiocard.segmentation.quality_features import pair_features, quality_features
from radiocard.simulate.cohort import simulate_cohort

if os.environ.get("RADIOCARD_REQUIRE_TORCH"):  # what is missing fails here instead of skipping its tests
    for _package in ("torch", "monai", "safetensors", "onnxruntime"):
        importlib.import_module(_package)


@pytest.fixture(scope="session")
def hearts():
    """Ten simulated patients, two per group."""
    return simulate_cohort(per_class=2, seed=5)


def _small(mask, margin=10):
    """The part around the heart, every other pixel: quick to work on."""
    used = np.argwhere((mask.array > 0).any(axis=2))
    (a, c), (b, d) = np.maximum(used.min(axis=0) - margin, 0), used.max(axis=0) + margin + 1
    affine = mask.affine @ np.diag([2.0, 2.0, 1.0, 1.0])
    return LabelMap(mask.array[a:b:2, c:d:2], affine, labels=mask.labels)


def _outline(codes, severity, rng):
    """One region too large or too small in every slice."""
    code, grow, out = rng.integers(1, 4), rng.random() < 0.5, codes.copy()
    for _ in range(round(4 * severity)):
        region = out == code
        for k in range(out.shape[2]):
            if grow:
                out[:, :, k][ndimage.binary_dilation(region[:, :, k])] = code
            else:
                out[:, :, k][region[:, :, k] & ~ndimage.binary_erosion(region[:, :, k])] = 2 if code == 3 else 0
    return out


def _missing(codes, severity, rng):
    """No mask in some slices at one end, or no RV in them."""
    out, used = codes.copy(), np.flatnonzero(codes.any(axis=(0, 1)))
    lost = used[: round(0.7 * severity * used.size)] if rng.random() < 0.5 else used[::-1][: round(5 * severity)]
    part = out[:, :, lost]
    out[:, :, lost] = np.where(part == 1, 0, part) if rng.random() < 0.5 else 0
    return out


def _specks(codes, severity, rng):
    """Blobs of the wrong region."""
    out = codes.copy()
    blobs = ndimage.gaussian_filter(rng.standard_normal(out.shape), (2, 2, 0.5))
    where = blobs > np.quantile(blobs, 1 - 0.25 * severity)
    out[where] = rng.integers(0, 4)
    return out


def _shift(codes, severity, rng):
    """Slices that moved in the plane."""
    out = codes.copy()
    for k in range(out.shape[2]):
        out[:, :, k] = np.roll(out[:, :, k], np.rint(rng.normal(0, 4 * severity, 2)).astype(int), (0, 1))
    return out


def _leak(codes, severity, rng):
    """The cavity runs out through a wedge of the wall, into the RV and the surroundings."""
    out = codes.copy()
    centre = [float(x.mean()) for x in np.nonzero(codes == 3)[:2]]
    i, j = (np.arange(n)[:, None] if a == 0 else np.arange(n)[None, :] for a, n in enumerate(codes.shape[:2]))
    turn = (np.arctan2(i - centre[0], j - centre[1]) - rng.uniform(0, 2 * np.pi)) % (2 * np.pi)
    wedge = (turn < 2.2 * severity) & (np.hypot(i - centre[0], j - centre[1]) < 30)
    slices = rng.random(codes.shape[2]) < 0.8
    out[wedge[:, :, None] & slices & ndimage.binary_dilation(codes > 0, iterations=1)] = 3
    return out


CORRUPTIONS = {"outline": _outline, "missing": _missing, "specks": _specks, "shift": _shift, "leak": _leak}


def _soft(codes):
    one_hot = np.stack([ndimage.gaussian_filter((codes == c).astype(np.float32), (0.6, 0.6, 0)) for c in range(4)])
    return one_hot / one_hot.sum(axis=0)


def _degraded(family, heart, severity, rng):
    """Features and worst Dice of one patient's mask at end-diastole and at end-systole."""
    reports, cleaned, truth, confidence = {}, {}, {}, {}
    for phase in ("ed", "es"):
        mask = truth[phase] = _small(heart.case.masks["cine", phase])
        seeds = rng.integers(0, 2**32, 1).repeat(3) + np.arange(3) * (rng.random() < 0.7)
        members = [
            _soft(CORRUPTIONS[family](mask.array, severity * rng.uniform(0.5, 1.2), np.random.default_rng(s)))
            for s in seeds
        ]
        p = Probabilities(np.stack(members), mask.affine)
        cleaned[phase], reports[phase] = clean_mask(most_probable(p))
        confidence[phase] = region_confidence(p, cleaned[phase])
    pair = pair_features(cleaned["ed"], cleaned["es"], lvef_pct=(5.0, 85.0))
    for phase in ("ed", "es"):
        found = quality_features(cleaned[phase], reports[phase], confidence=confidence[phase], pair=pair)
        dice = min(o.dice for o in compare_masks(cleaned[phase], truth[phase], case="a").values())
        yield found, dice, heart.case.patient_id


@pytest.fixture(scope="session")
def degraded(hearts):
    """Family to features, worst Dice and patients of masks that were made worse, by more and by less."""
    out = {}
    for n, family in enumerate(CORRUPTIONS):
        rng = np.random.default_rng(n)
        rows = [row for h in hearts for s in (0.05, 0.3, 0.9) for row in _degraded(family, h, s, rng)]
        out[family] = tuple(zip(*rows, strict=True))
    return out
