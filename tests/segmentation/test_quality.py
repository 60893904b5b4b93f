import numpy as np
import pytest

from radiocard.segmentation.quality import RULE, decide
from radiocard.segmentation.quality_features import JUDGED_NAMES, NAMES
from radiocard.segmentation.quality_model import fit_quality

GOOD = dict.fromkeys(NAMES, 0.0) | {
    name: 0.97 for name in NAMES if name.endswith(("_probability", "_dice", "enclosed_fraction"))
}
VIEWS = ("least_view_dice", "mean_view_dice")


@pytest.fixture(scope="module")
def model():
    """Fitted to masks whose Dice falls with the agreement of mirrored views."""
    rng = np.random.default_rng(0)
    agreement = rng.beta(12, 1.5, 200)
    rows = [GOOD | {"least_view_dice": float(a)} for a in agreement]
    dice = np.clip(agreement + rng.normal(0, 0.02, 200), 0, 1)
    options = {"dice_limit": 0.8, "warn_false_alarms": 0.1, "ask_false_alarms": 0.05, "random_state": 0}
    return fit_quality(rows, dice.tolist(), [str(i // 2) for i in range(200)], **options)


def test_the_rule_accepts_a_good_mask_and_says_that_it_is_a_rule():
    found = decide(GOOD)
    assert (found.verdict, found.by, found.risk) == ("accept", "rule", None)
    assert found.reasons == ("decided by a rule without a measured rate of false alarms: no quality model was fitted",)
    assert found.to_dict()["reasons"] == list(found.reasons)


@pytest.mark.parametrize(("name", "warn", "ask"), RULE)
def test_each_limit_of_the_rule_is_seen(name, warn, ask):
    worse = -1 if name.endswith(("_probability", "_dice", "enclosed_fraction")) else 1
    for verdict, limit in (("warn", warn), ("ask", ask)):
        if limit is None:
            continue
        found = decide(GOOD | {name: limit + 0.01 * worse})
        assert found.verdict == verdict
        assert f"{'above' if worse > 0 else 'below'} {limit:g}" in found.reasons[0]
        milder = decide(GOOD | {name: limit - 0.001 * worse})
        assert milder.verdict != verdict


def test_the_worst_finding_decides():
    found = decide(GOOD | {"rv_cavity_member_dice": 0.8, "empty_regions": 1.0})
    assert found.verdict == "ask"
    assert found.reasons[0] == "regions without a voxel: 1, above 0"
    assert len(found.reasons) == 2


def test_the_model_accepts_warns_and_asks(model):
    by_agreement = {a: decide(GOOD | {"least_view_dice": a}, model) for a in np.linspace(0.99, 0.5, 50)}
    verdicts = [d.verdict for d in by_agreement.values()]
    assert verdicts == sorted(verdicts, key=("accept", "warn", "ask").index)
    assert set(verdicts) == {"accept", "warn", "ask"}
    assert {d.by for d in by_agreement.values()} == {"model"}
    last = by_agreement[min(by_agreement)]
    assert "the estimated chance of a poor mask is" in last.reasons[0]
    assert "(exceeded by 5% of good masks)" in last.reasons[0]
    words = "least Dice of a region between mirrored views of the image"
    assert last.reasons[1].startswith(f"{words}: 0.50 (usual: 0.9")


def test_what_the_rule_finds_is_told_beside_what_the_model_says(model):
    found = decide(GOOD | {"least_view_dice": 0.5, "rv_cavity_probability": 0.7}, model)
    assert found.verdict == "ask"
    assert found.reasons[-1] == "mean probability within the RV cavity: 0.70, below 0.8"


def test_a_missing_region_is_asked_about_whatever_the_model_says(model):
    found = decide(GOOD | {"empty_regions": 1.0}, model)
    assert (found.verdict, found.by) == ("ask", "model")
    assert found.reasons[0] == "regions without a voxel: 1, above 0"


def test_a_mask_without_probabilities_is_judged_by_the_rule(model):
    without = {name: None if name.endswith(("_probability", "_dice")) else v for name, v in GOOD.items()}
    found = decide(without, model)
    assert found.by == "rule"
    assert "the mask has no probabilities for the model" in found.reasons[-1]


def test_a_mask_without_mirrored_views_is_judged_by_the_rule(model):
    found = decide(GOOD | dict.fromkeys(VIEWS), model)
    assert (found.verdict, found.by) == ("accept", "rule")
    words = "the mask lacks what the model looks at: least Dice of a region between mirrored views of the image"
    assert found.reasons[-1].endswith(words)


def test_a_model_that_never_had_mirrored_views_judges_without_them():
    rng = np.random.default_rng(0)
    expected = rng.beta(12, 1.5, 200)
    rows = [GOOD | dict.fromkeys(VIEWS) | {"least_expected_dice": float(e)} for e in expected]
    options = {"dice_limit": 0.8, "warn_false_alarms": 0.1, "ask_false_alarms": 0.05, "random_state": 0}
    found = fit_quality(rows, expected.tolist(), [str(i // 2) for i in range(200)], **options)
    assert decide(GOOD | dict.fromkeys(VIEWS), found).by == "model"


def test_a_combination_without_a_single_culprit_says_so(model):
    limits = model.model_copy(update={"warn_above": 1e-9, "ask_above": 1 - 1e-9})
    found = decide(GOOD | dict.fromkeys(JUDGED_NAMES, 0.999), limits)
    assert found.verdict == "warn"
    assert found.reasons[1] == "no single measurement stands out; their combination is unusual for a good mask"
