import numpy as np
import pytest

from radiocard.errors import GeometryError
from radiocard.image import LABELS_ACDC, LabelMap
from radiocard.segmentation.clean import most_probable
from radiocard.segmentation.confidence import expected_dice, normalised_entropy, region_confidence
from radiocard.segmentation.overlap import dice
from radiocard.segmentation.probabilities import Probabilities

AFFINE = np.diag([1.5, 1.5, 8.0, 1.0])


def from_masks(*masks, certainty=1.0):
    """Probabilities of members that give their class so much, and the rest to the others alike."""
    one_hot = np.stack([np.stack([m == c for c in range(4)]) for m in masks]).astype(np.float32)
    return Probabilities(one_hot * certainty + (1 - one_hot) * (1 - certainty) / 3, AFFINE)


def square(low, high, label=3):
    out = np.zeros((20, 20, 3), int)
    out[low:high, low:high, 1] = label
    return out


def test_certain_networks_that_agree():
    mask = square(5, 15)
    p = from_masks(mask, mask, mask)
    found = region_confidence(p, most_probable(p))["lv_cavity"]
    assert found.to_dict() == {
        "probability": 1.0,
        "entropy": 0.0,
        "border_entropy": 0.0,
        "member_dice": 1.0,
        "least_member_dice": 1.0,
        "volume_spread": 0.0,
        "expected_dice": 1.0,
        "view_dice": None,
    }


def test_probability_and_entropy_have_their_closed_forms():
    mask = square(5, 15)
    p = from_masks(mask, certainty=0.7)
    found = region_confidence(p, most_probable(p))["lv_cavity"]
    entropy = -(0.7 * np.log(0.7) + 0.3 * np.log(0.1)) / np.log(4)
    assert found.probability == pytest.approx(0.7)
    assert found.entropy == pytest.approx(entropy, rel=1e-5)
    assert found.border_entropy == pytest.approx(entropy, rel=1e-5)
    assert (found.member_dice, found.least_member_dice, found.volume_spread) == (None, None, None)


def test_doubt_at_the_border_is_seen_at_the_border():
    mask, inner = square(5, 15), square(6, 14)
    p = from_masks(mask, mask, inner)
    found = region_confidence(p, most_probable(p))["lv_cavity"]
    border = -(2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3)) / np.log(4)
    assert found.border_entropy == pytest.approx(border, rel=1e-5)
    assert found.entropy == pytest.approx(border * 36 / 100, rel=1e-5)


def test_disagreement_is_dice_between_pairs():
    a, b, c = square(5, 15), square(5, 15), square(7, 17)
    p = from_masks(a, b, c)
    found = region_confidence(p, most_probable(p))["lv_cavity"]
    apart = 64 / 100
    assert found.least_member_dice == pytest.approx(apart)
    assert found.member_dice == pytest.approx((1 + 2 * apart) / 3)


def test_volume_spread_is_the_range_over_the_mean():
    p = from_masks(square(5, 15), square(5, 10))
    found = region_confidence(p, most_probable(p))["lv_cavity"]
    assert found.volume_spread == pytest.approx(75 / 62.5)


def test_a_region_that_one_network_misses():
    p = from_masks(square(5, 15), np.zeros((20, 20, 3), int))
    found = region_confidence(p, most_probable(p))
    assert found["lv_cavity"].least_member_dice == 0.0
    assert found["lv_cavity"].volume_spread == 2.0
    assert set(found["rv_cavity"].to_dict().values()) == {None}


def test_expected_dice_of_a_certain_region_is_one():
    region = square(5, 15) == 3
    assert expected_dice(region.astype(float), region) == 1.0


def test_expected_dice_has_its_closed_form():
    p = from_masks(square(5, 15), certainty=0.7)
    found = region_confidence(p, most_probable(p))["lv_cavity"]
    inside, outside = 100 * 0.7, (20 * 20 * 3 - 100) * 0.1
    assert found.expected_dice == pytest.approx(2 * inside / (100 + inside + outside), rel=1e-5)


def test_expected_dice_sees_what_the_region_lacks():
    seen, drawn = square(5, 15) == 3, square(5, 10) == 3
    assert expected_dice(seen.astype(float), drawn) == pytest.approx(dice(seen, drawn))
    assert expected_dice(np.where(seen, 0.6, 0.0), seen) < expected_dice(np.where(seen, 0.9, 0.0), seen)


def test_expected_dice_of_nothing():
    nothing = np.zeros((4, 4, 1), bool)
    assert expected_dice(np.full((4, 4, 1), 0.2), nothing) == 0.0
    assert expected_dice(np.zeros((4, 4, 1)), nothing) is None


def test_expected_dice_is_near_the_mean_dice_of_regions_drawn_from_the_probabilities():
    rng = np.random.default_rng(0)
    p = rng.beta(0.3, 0.5, (40, 40, 2))
    region = p > 0.5
    drawn = [dice(region, rng.random(p.shape) < p) for _ in range(200)]
    assert expected_dice(p, region) == pytest.approx(np.mean(drawn), abs=0.005)


def test_views_that_agree_and_views_that_do_not():
    mask = square(5, 15)
    stack = mask.transpose(2, 0, 1).astype(np.uint8)
    moved = np.roll(stack, (2, 2), (1, 2))
    p = from_masks(mask)
    for views, agreement in (((stack, stack), 1.0), ((stack, moved), 64 / 100), ((stack, stack, moved), 2.28 / 3)):
        told = Probabilities(p.members, AFFINE, np.stack(views)[None])
        found = region_confidence(told, most_probable(told))
        assert found["lv_cavity"].view_dice == pytest.approx(agreement)
        assert found["rv_cavity"].view_dice == 0.0


def test_views_are_compared_within_a_network():
    mask, other = square(5, 15), square(7, 17)
    views = np.stack([np.stack([m.transpose(2, 0, 1)] * 4) for m in (mask, other)]).astype(np.uint8)
    p = Probabilities(from_masks(mask, other).members, AFFINE, views)
    found = region_confidence(p, most_probable(p))["lv_cavity"]
    assert found.view_dice == 1.0
    assert found.least_member_dice == pytest.approx(64 / 100)


def test_entropy_of_equal_classes_is_one():
    np.testing.assert_allclose(normalised_entropy(np.full((4, 3), 0.25)), 1.0, rtol=1e-6)


def test_another_grid_is_refused():
    p = from_masks(square(5, 15))
    with pytest.raises(GeometryError, match="differ in size"):
        region_confidence(p, LabelMap(np.zeros((3, 3, 3), int), AFFINE, labels=LABELS_ACDC))
