import numpy as np
import pytest

from radiocard.image import LABELS_ACDC, LabelMap
from radiocard.segmentation.clean import clean_mask
from radiocard.segmentation.confidence import region_confidence
from radiocard.segmentation.probabilities import Probabilities
from radiocard.segmentation.quality_features import (
    FEATURES,
    JUDGED_NAMES,
    NAMES,
    PAIR_NAMES,
    pair_features,
    quality_features,
)

AFFINE = np.diag([2.0, 2.0, 10.0, 1.0])
RV, WALL, LV = 1, 2, 3


def tube(n=6, shift=None, radius=8):
    """A straight LV of equal slices beside a straight RV."""
    i, j = np.meshgrid(np.arange(60), np.arange(60), indexing="ij")
    out = np.zeros((60, 60, n), np.uint8)
    for k in range(n):
        di, dj = (shift or {}).get(k, (0, 0))
        r = np.hypot(i - 35 - di, j - 30 - dj)
        out[:, :, k][np.hypot(i - 12, j - 30) < 8] = RV
        out[:, :, k][r < radius + 5] = WALL
        out[:, :, k][r < radius] = LV
    return LabelMap(out, AFFINE, labels=LABELS_ACDC)


def features(mask, **kwargs):
    return quality_features(mask, clean_mask(mask)[1], **kwargs)


def test_every_feature_is_there_and_has_words():
    found = features(tube())
    assert tuple(found) == NAMES
    assert len(set(NAMES)) == len(NAMES)
    assert all(f.words and f.worse in (1, -1) for f in FEATURES)


def told(mask, certainty=1.0, views=None):
    """What networks say that give the class of a mask so much, and the rest to the others alike."""
    one_hot = np.stack([mask.array == c for c in range(4)])[None].astype(np.float32)
    p = Probabilities(one_hot * certainty + (1 - one_hot) * (1 - certainty) / 3, AFFINE, views)
    found = features(mask, confidence=region_confidence(p, mask))
    return [found[name] for name in JUDGED_NAMES[:4]]


def test_what_the_model_looks_at_is_one_for_certain_views_that_agree():
    views = np.stack([tube().array.transpose(2, 0, 1)] * 4)[None]
    assert told(tube(), views=views) == [1.0] * 4
    assert told(tube()) == [1.0, 1.0, None, None]


def test_what_the_model_looks_at_falls_with_doubt_and_disagreement():
    stack = tube().array.transpose(2, 0, 1)
    sure = told(tube(), certainty=0.95, views=np.stack([stack, stack])[None])
    other = np.where(stack == RV, 0, stack)
    unsure = told(tube(), certainty=0.9, views=np.stack([stack, other])[None])
    assert all(a > b for a, b in zip(sure, unsure, strict=True))
    assert unsure[2:] == [0.0, pytest.approx(2 / 3)]  # the RV in one view alone
    assert sure[0] < sure[1]


def test_a_region_that_is_not_drawn_counts_as_zero():
    array = np.where(tube().array == RV, 0, tube().array)
    mask = LabelMap(array, AFFINE, labels=LABELS_ACDC)
    stack = array.transpose(2, 0, 1)
    assert told(mask, views=np.stack([stack, stack])[None]) == [0.0, pytest.approx(2 / 3)] * 2


def test_a_straight_heart_has_no_jumps():
    found = features(tube())
    zero = ("lv_area_jump", "rv_area_jump", "lv_centre_jump_mm", "rv_centre_jump_mm", "missing_slices")
    assert [found[name] for name in zero] == [0.0] * 5
    assert (found["enclosed_fraction"], found["least_enclosed_fraction"]) == (1.0, 1.0)
    assert (found["empty_regions"], found["detached_parts"], found["removed_fraction"]) == (0, 0, 0)


def test_a_slice_that_moved_is_a_jump_of_its_centre():
    found = features(tube(shift={3: (3, 4)}))
    assert found["lv_centre_jump_mm"] == pytest.approx(5 * 2.0)
    assert found["lv_area_jump"] == 0.0


def test_a_slice_that_is_lost_is_a_jump_of_area():
    array = tube().array.copy()
    array[:, :, 3] = 0
    found = features(LabelMap(array, AFFINE, labels=LABELS_ACDC))
    assert found["lv_area_jump"] == pytest.approx(1.0)
    assert found["missing_slices"] == 3


def test_repairs_are_fractions_of_the_region():
    array = tube().array.copy()
    n = int((array == RV).sum())
    array[2:4, 2:4, 0] = RV
    found = features(LabelMap(array, AFFINE, labels=LABELS_ACDC))
    assert found["removed_fraction"] == pytest.approx(4 / (n + 4))
    assert found["detached_parts"] == 1


def test_an_empty_region_is_counted_and_the_rest_is_null():
    array = np.where(tube().array == LV, 0, tube().array)
    found = features(LabelMap(array, AFFINE, labels=LABELS_ACDC))
    assert found["empty_regions"] == 1
    assert found["enclosed_fraction"] is None
    nothing = features(LabelMap(np.zeros((9, 9, 3), int), AFFINE, labels=LABELS_ACDC))
    assert nothing["empty_regions"] == 3
    assert nothing["lv_area_jump"] is None
    assert nothing["removed_fraction"] == 0


def test_without_probabilities_or_the_other_phase_there_are_nulls():
    found = features(tube())
    assert {found[name] for name in (*PAIR_NAMES, "rv_cavity_probability", "volume_spread")} == {None}


def test_the_two_phases_together():
    ed, es = tube(radius=10), tube(radius=6)
    found = pair_features(ed, es, lvef_pct=(5.0, 50.0))
    edv, esv = (float((m.array == LV).sum()) for m in (ed, es))
    assert found["lvef_outside_pct"] == pytest.approx(100 * (1 - esv / edv) - 50)
    assert found["phases_swapped"] == 1.0  # the RV does not move
    assert found["stroke_volume_difference_pct"] is None
    walls = [float((m.array == WALL).sum()) for m in (ed, es)]
    assert found["wall_volume_change_pct"] == pytest.approx(100 * abs(walls[0] - walls[1]) / np.mean(walls))


def test_a_simulated_heart_is_plausible(hearts):
    for h in hearts:
        masks = h.case.masks
        found = pair_features(masks["cine", "ed"], masks["cine", "es"], lvef_pct=(5.0, 85.0))
        assert found["lvef_outside_pct"] == 0
        assert found["phases_swapped"] == 0
        assert found["wall_volume_change_pct"] < 20


def test_phases_with_an_empty_region_are_not_compared():
    empty = LabelMap(np.zeros((60, 60, 6), int), AFFINE, labels=LABELS_ACDC)
    assert set(pair_features(tube(), empty, lvef_pct=(5.0, 85.0)).values()) == {None}
