import numpy as np
import pytest

from radiocard.segmentation.quality_features import JUDGED_NAMES
from radiocard.study.segment_quality import DEGRADED, SEVERITIES, JudgedMask, fit_masks, training_masks


@pytest.fixture(scope="module")
def masks(level_cases, level_ensemble):
    return training_masks(level_cases[0], level_ensemble, number=1)


def test_each_case_is_judged_as_it_is_and_made_worse_in_each_way(masks):
    expected = [("none", 0.0), *((family, SEVERITIES[1]) for family in DEGRADED)]
    assert [(m.family, m.severity) for m in masks[::2]] == expected
    assert [m.phase for m in masks] == ["ed", "es"] * len(expected)
    assert len({m.patient_id for m in masks}) == 1


def test_a_worse_image_gives_a_worse_mask_and_less_is_expected_of_it(masks):
    whole, noisy = (next(m for m in masks if m.family == family) for family in ("none", "noise"))
    assert whole.worst_dice > 0.95 > noisy.worst_dice
    assert whole.features["least_expected_dice"] > noisy.features["least_expected_dice"]


def test_masks_have_mirrored_views(masks):
    assert {m.features["least_view_dice"] for m in masks if m.family == "none"} == {1.0}


def test_a_model_is_fitted_to_judged_masks():
    rng = np.random.default_rng(0)
    made = []
    for n in range(300):
        dice = float(rng.beta(8, 2))
        features = dict.fromkeys(JUDGED_NAMES, float(np.clip(dice + rng.normal(0, 0.05), 0, 1)))
        made.append(JudgedMask(f"p{n % 30}", "ed", ("none", *DEGRADED)[n % 5], 0.3, features, dice))
    found = fit_masks(made)
    assert found.training.auroc > 0.9
    assert found.risk(dict.fromkeys(JUDGED_NAMES, 0.5)) > found.ask_above
    assert found.risk(dict.fromkeys(JUDGED_NAMES, 0.99)) < found.warn_above
