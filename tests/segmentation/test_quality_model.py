import json

import numpy as np
import pytest
from scipy.special import expit, logit

from radiocard.errors import ModelError, UsageError
from radiocard.evaluation.intervals import resample_weights
from radiocard.evaluation.metrics import auc
from radiocard.segmentation.quality_features import JUDGED_NAMES as NAMES
from radiocard.segmentation.quality_model import MAX_BYTES, fit_quality, read_quality, write_quality

OPTIONS = {"dice_limit": 0.8, "warn_false_alarms": 0.1, "ask_false_alarms": 0.05, "random_state": 0}
SEEN, UNSEEN = ("outline", "missing", "specks"), ("shift", "leak")


def made_up(n=200, seed=0, signal=2.0):
    """Masks of 50 patients; one in four is poor, and two features know it."""
    rng = np.random.default_rng(seed)
    poor = rng.random(n) < 0.25
    knows = np.isin(np.arange(len(NAMES)), [0, 2])
    X = expit(rng.standard_normal((n, len(NAMES))) - signal * poor[:, None] * knows)
    rows = [dict(zip(NAMES, row.tolist(), strict=True)) for row in X]
    return rows, np.where(poor, 0.5, 0.9).tolist(), [f"p{i % 50}" for i in range(n)]


@pytest.fixture(scope="module")
def model():
    return fit_quality(*made_up(), **OPTIONS)


@pytest.mark.slow
def test_it_finds_poor_masks_of_a_kind_that_it_never_saw(degraded):
    rows = [sum((degraded[f][part] for f in SEEN), ()) for part in range(3)]
    found = fit_quality(*rows, **OPTIONS)
    assert found.training.auroc > 0.7
    for family in UNSEEN:
        features, dice, patients = degraded[family]
        risk = np.array([found.risk(row) for row in features])
        poor = (np.array(dice) < 0.8).astype(np.intp)
        code = np.unique(patients, return_inverse=True)[1]
        weights = resample_weights(np.zeros_like(poor), code, n_bootstrap=1000, random_state=0)
        draws = auc(np.stack([1 - risk, risk], axis=1)[None], poor, weights)[:, 1]
        # 95 % interval over patients: clearly better than chance, 0.5
        assert np.nanquantile(draws, 0.025) > 0.65, family


def test_noise_is_not_found():
    rows, dice, patients = made_up(signal=0.0)
    assert fit_quality(rows, dice, patients, **OPTIONS).training.auroc == pytest.approx(0.5, abs=0.13)


def test_limits_hold_their_rates_on_new_good_masks(model):
    rows, dice, _ = made_up(n=4000, seed=9)
    good = np.array([model.risk(row) for row, d in zip(rows, dice, strict=True) if d > 0.8])
    for limit, rate in ((model.warn_above, 0.1), (model.ask_above, 0.05)):
        assert (good > limit).mean() == pytest.approx(rate, abs=0.06)
    assert model.warn_above <= model.ask_above


def test_the_risk_is_that_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    rows, dice, patients = made_up()
    found = fit_quality(rows, dice, patients, **OPTIONS)
    X = logit([[row[name] for name in NAMES] for row in rows])
    scaler = StandardScaler().fit(X)
    reference = LogisticRegression(C=0.3, max_iter=2000).fit(scaler.transform(X), np.array(dice) < 0.8)
    expected = reference.predict_proba(scaler.transform(X))[:, 1]
    np.testing.assert_allclose([found.risk(row) for row in rows], expected, rtol=1e-9)


def test_a_missing_feature_counts_as_the_median(model):
    rows, _, _ = made_up()
    row = rows[0]
    at_median = row | {NAMES[2]: expit(model.median[2])}
    assert model.risk(row | {NAMES[2]: None}) == pytest.approx(model.risk(at_median), rel=1e-12)


def test_a_feature_that_nobody_had_does_not_matter():
    rows, dice, patients = made_up()
    without = [row | {NAMES[3]: None} for row in rows]
    found = fit_quality(without, dice, patients, **OPTIONS)
    assert found.usual[3] is None
    assert found.contributions(rows[0])[NAMES[3]] == 0.0
    assert found.lacks(without[0]) == ()
    assert found.lacks(without[0] | {NAMES[0]: None}) == (NAMES[0],)


def test_a_shape_that_is_not_defined_is_no_lack(model):
    row = made_up()[0][0]
    assert model.lacks(row | {"least_enclosed_fraction": None}) == ()


def test_a_worse_feature_never_lowers_the_risk(model):
    row = dict.fromkeys(NAMES, 0.9)
    for name in (NAMES[0], NAMES[2]):
        risks = [model.risk(row | {name: value}) for value in (1.0, 0.9, 0.6, 0.2, 0.0)]
        assert risks == sorted(risks)


def test_limits_come_from_kinds_of_image_that_were_left_out():
    rows, dice, patients = made_up(n=600)
    odd = [i % 3 == 0 and d > 0.8 for i, d in enumerate(dice)]  # good masks that look poor, all of one kind
    rows = [row | {NAMES[0]: 0.02, NAMES[2]: 0.02} if o else row for row, o in zip(rows, odd, strict=True)]
    plain = fit_quality(rows, dice, patients, **OPTIONS)
    kinds = ["odd" if o else ("a" if i % 2 else "b") for i, o in enumerate(odd)]
    careful = fit_quality(rows, dice, patients, **OPTIONS, kinds=kinds)
    assert careful.warn_above > plain.warn_above
    assert careful.training.auroc < plain.training.auroc
    assert careful.coefficient == plain.coefficient


def test_the_same_data_give_the_same_file(model, tmp_path):
    again = fit_quality(*made_up(), **OPTIONS)
    for name, m in (("a.json", model), ("b.json", again)):
        write_quality(m, tmp_path / name)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_round_trip(model, tmp_path):
    write_quality(model, tmp_path / "quality.json")
    back = read_quality(tmp_path / "quality.json")
    assert back == model
    row = made_up()[0][3]
    assert back.risk(row) == model.risk(row)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"coefficient": [1e9] * len(NAMES)}, "coefficient.0: Input should be less than or equal to 1000000"),
        ({"coefficient": [1.0]}, "'coefficient' holds 1 numbers"),
        ({"scale": [0.0] * len(NAMES)}, "scale.0: Input should be greater than 0"),
        ({"features": ["a"]}, "are not the"),
        ({"warn_above": 0.9, "ask_above": 0.1}, "'warn_above' is 0.9, expected at most 'ask_above'"),
        ({"schema": "other/1"}, "schema: Input should be"),
        ({"code": "import os"}, "code: Extra inputs are not permitted"),
        ({"intercept": None}, "intercept: Input should be a valid number"),
    ],
)
def test_a_tampered_file_is_refused(model, tmp_path, change, message):
    path = tmp_path / "quality.json"
    write_quality(model, path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=message):
        read_quality(path)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\x80\x04\x95", b'{"intercept": NaN}'])
def test_what_is_no_model_is_refused(tmp_path, data):
    path = tmp_path / "quality.json"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"'quality.json' is not a quality model of this version"):
        read_quality(path)


def test_a_large_or_absent_file_is_refused(tmp_path):
    with pytest.raises(ModelError, match="cannot be read: No such file"):
        read_quality(tmp_path / "none.json")
    (tmp_path / "large.json").write_bytes(b" " * (MAX_BYTES + 1))
    with pytest.raises(ModelError, match="is larger than 65536 bytes"):
        read_quality(tmp_path / "large.json")


def test_too_few_masks_are_refused():
    rows, dice, patients = made_up()
    with pytest.raises(UsageError, match="0 of 200 masks are poor"):
        fit_quality(rows, [0.9] * 200, patients, **OPTIONS)
    with pytest.raises(UsageError, match="and 5 patients with either"):
        fit_quality(rows, dice, ["one"] * 200, **OPTIONS)
    with pytest.raises(UsageError, match="too few for a false alarm rate of 0.001; expected 999"):
        fit_quality(rows, dice, patients, **OPTIONS | {"ask_false_alarms": 0.001})


def test_contradictions_are_refused():
    rows, dice, patients = made_up()
    with pytest.raises(UsageError, match="features of 200 masks, 199 Dice and 200 patients"):
        fit_quality(rows, dice[1:], patients, **OPTIONS)
    with pytest.raises(UsageError, match="There are 200 masks and 199 kinds of image"):
        fit_quality(rows, dice, patients, **OPTIONS, kinds=["a"] * 199)
    by_dice = ["good" if d > 0.8 else "poor" for d in dice]
    with pytest.raises(UsageError, match="Without the images of kind 'good', no good or no poor masks are left"):
        fit_quality(rows, dice, patients, **OPTIONS, kinds=by_dice)
    with pytest.raises(UsageError, match="A Dice is not a number from 0 to 1"):
        fit_quality(rows, [float("nan"), *dice[1:]], patients, **OPTIONS)
    with pytest.raises(UsageError, match="expected 0 < ask <= warn < 1"):
        fit_quality(rows, dice, patients, **OPTIONS | {"ask_false_alarms": 0.2})
