import numpy as np
import pytest

from radiocard.errors import CohortError, ModelError, SpecError, UsageError
from radiocard.models.identity import hash_image, hash_patient


def test_the_lowest_inner_log_loss_answers(bundle):
    losses = {m.name: m.inner_log_loss for m in bundle.models}
    assert bundle.answers == min(losses, key=losses.get)
    assert bundle.answering.name == bundle.answers


def test_training_patients_are_known_by_identifier_and_by_image(bundle):
    assert bundle.holds_patient("patient003")
    assert bundle.holds_patient("someone_else", "digest_patient003")
    assert not bundle.holds_patient("someone_else", "other")
    assert not bundle.holds_patient("someone_else")
    assert bundle.position("x", "digest_patient004") == 4
    assert not bundle.holds_patient("patient003", "other")
    assert bundle.knows_identifier("patient003")
    assert not bundle.knows_identifier("someone_else")


def test_one_image_in_common_is_enough_to_be_known_but_not_to_be_the_same(bundle):
    assert bundle.position("x", "digest_patient004-another") == 4
    assert bundle.out_of_fold_of("x", "digest_patient004-another") is None


def test_no_raw_identifier_or_digest_is_kept(bundle):
    assert bundle.patient_hashes[0] == hash_patient("patient000")
    assert bundle.image_hashes[0] == hash_image("digest_patient000")
    assert hash_image("a-b") == f"{hash_image('a')}-{hash_image('b')}"
    assert hash_image(None) == hash_image("") == ""


def test_out_of_fold_is_the_mean_over_repeats(bundle):
    p = bundle.out_of_fold["selected"]
    out = bundle.out_of_fold_of("patient010")
    np.testing.assert_array_equal(out.per_repeat, p[:, 10])
    np.testing.assert_allclose(out.probabilities, (p[0, 10] + p[1, 10]) / 2)
    assert bundle.out_of_fold_of("someone_else") is None


def test_unknown_out_of_fold_predictions(bundle):
    with pytest.raises(UsageError, match="no out-of-fold predictions 'svm'; there are: selected"):
        bundle.out_of_fold_of("patient010", name="svm")


def test_unknown_model(bundle):
    with pytest.raises(UsageError, match="no model 'cnn'.*svm, rf, xgboost, logistic, majority"):
        bundle.model("cnn")


def test_prediction(bundle, planted):
    X = planted[0].assign(site="A")
    X.index = [f"new{i}" for i in range(len(X))]
    X.iloc[0, list(X.columns).index("signal_a")] = np.nan
    X.iloc[0, list(X.columns).index("signal_a_again")] = np.nan
    out = bundle.predict(X.iloc[:3], image_digests=["a", None, "digest_patient002"], name="logistic")
    assert list(out.probabilities.columns) == ["DCM", "HCM", "NOR"]
    assert out.answers[1:] == ("DCM", "DCM")
    assert [i.code for i in out.issues] == ["W_EXTRA_COLUMNS"]
    assert [[i.code for i in f] for f in out.flags] == [["W_MODEL_INPUT"], [], []]
    assert out.flags[0][0].case == "new0"
    assert out.in_training == (False, False, True)


def test_missing_columns_abort(bundle, planted):
    with pytest.raises(ModelError, match="lacks 1 of 11 columns: noise_3"):
        bundle.predict(planted[0].drop(columns="noise_3"))


def test_text_aborts(bundle, planted):
    with pytest.raises(CohortError, match="hold text"):
        bundle.predict(planted[0].assign(noise_1="x"))


def test_another_specification_is_refused_by_setting(bundle):
    bundle.check_spec({"schema": "radiocard/feature-spec/1", "phases": ["ed", "es"], "name": "y", "checks": {"a": 1}})
    with pytest.raises(SpecError, match=r"phases: \['ed', 'es'\] != \['ed'\]") as caught:
        bundle.check_spec({"schema": "radiocard/feature-spec/1", "phases": ["ed"]})
    assert caught.value.code == "E_SPEC"
