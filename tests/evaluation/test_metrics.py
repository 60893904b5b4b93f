import numpy as np
import pytest
from sklearn import metrics as sk

from radiocard.errors import CohortError, LeakError, UsageError
from radiocard.evaluation import metrics
from radiocard.evaluation.metrics import Predictions, from_probabilities

CLASSES = ("A", "B", "C")


@pytest.fixture
def sample():
    rng = np.random.default_rng(0)
    y = np.array(CLASSES)[rng.integers(0, 3, 60)]
    p = rng.dirichlet(np.ones(3), 60)
    return p, y


def ones(predictions):
    return np.ones((1, predictions.y.size))


def test_agree_with_scikit_learn(sample):
    p, y = sample
    predictions = from_probabilities(p, y, classes=CLASSES)
    w, named = ones(predictions), np.array(CLASSES)[p.argmax(axis=1)]
    assert metrics.accuracy(predictions, w)[0] == pytest.approx(sk.accuracy_score(y, named))
    assert metrics.balanced_accuracy(predictions, w)[0] == pytest.approx(sk.balanced_accuracy_score(y, named))
    assert metrics.sensitivity(predictions, w)[0] == pytest.approx(sk.recall_score(y, named, average=None))
    area = metrics.auc(predictions.probabilities, predictions.y, w)[0]
    assert area.mean() == pytest.approx(sk.roc_auc_score(y, p, multi_class="ovr", average="macro"))
    assert metrics.log_loss(predictions.probabilities, predictions.y, w)[0] == pytest.approx(sk.log_loss(y, p))
    expected = sk.brier_score_loss(y, p, labels=list(CLASSES), scale_by_half=False)
    assert metrics.brier(predictions.probabilities, predictions.y, w)[0] == pytest.approx(expected)
    assert metrics.confusion(predictions)[:, :3].tolist() == sk.confusion_matrix(y, named).tolist()


def test_weights_are_copies_of_patients(sample):
    p, y = sample
    p = np.round(p, 1)
    p /= p.sum(axis=1, keepdims=True)
    times = np.random.default_rng(1).integers(0, 4, 60)
    weighted = from_probabilities(p, y, classes=CLASSES)
    copied = from_probabilities(p.repeat(times, axis=0), y.repeat(times), classes=CLASSES)
    w = times[None].astype(float)
    for measure in (metrics.accuracy, metrics.balanced_accuracy, metrics.specificity):
        assert measure(weighted, w) == pytest.approx(measure(copied, ones(copied)))
    for measure in (metrics.auc, metrics.brier, metrics.log_loss):
        a = measure(weighted.probabilities, weighted.y, w)
        b = measure(copied.probabilities, copied.y, ones(copied))
        assert a == pytest.approx(b)


def test_hand_computed_table_with_an_abstention():
    y = np.array([0, 0, 0, 0, 1, 1])
    predicted = np.array([[0, 0, 1, -1, 1, 0]])
    predictions = Predictions(("A", "B"), y, np.arange(6), predicted, None)
    w = ones(predictions)
    assert metrics.accuracy(predictions, w)[0] == pytest.approx(3 / 6)
    assert metrics.sensitivity(predictions, w)[0] == pytest.approx([2 / 4, 1 / 2])
    assert metrics.specificity(predictions, w)[0] == pytest.approx([1 / 2, 3 / 4])
    assert metrics.confusion(predictions).tolist() == [[2, 1, 1], [1, 1, 0]]


def test_repeats_are_averaged(sample):
    p, y = sample
    other = np.roll(p, 1, axis=1)
    both = from_probabilities(np.stack([p, other]), y, classes=CLASSES)
    for measure in (metrics.auc, metrics.brier, metrics.log_loss):
        single = [measure(q[None], both.y, ones(both)) for q in (both.probabilities[0], both.probabilities[1])]
        assert measure(both.probabilities, both.y, ones(both)) == pytest.approx(np.mean(single, axis=0))


def test_auc_without_a_class_is_undefined():
    p = from_probabilities(np.full((4, 3), 1 / 3), ["A", "A", "B", "B"], classes=CLASSES)
    area = metrics.auc(p.probabilities, p.y, ones(p))[0]
    assert area[:2] == pytest.approx([0.5, 0.5])
    assert np.isnan(area[2])


@pytest.mark.parametrize(
    ("p", "y", "error", "text"),
    [
        (np.full((2, 2), 0.5), ["A", "B"], UsageError, r"shape \(1, 2, 2\), expected \(repeats, 2, 3\)"),
        (np.full((2, 3), 0.5), ["A", "B"], UsageError, "do not sum to 1"),
        (np.array([[np.nan, 0.5, 0.5], [1, 0, 0]]), ["A", "B"], UsageError, "not finite"),
        (np.full((2, 3), 1 / 3), ["A", "a"], CohortError, "Labels a are not among the classes A, B, C"),
    ],
)
def test_refuse_what_is_no_prediction(p, y, error, text):
    with pytest.raises(error, match=text):
        from_probabilities(p, y, classes=CLASSES)


def test_refuse_groups_that_do_not_fit():
    with pytest.raises(LeakError, match="2 patients and 3 groups"):
        from_probabilities(np.full((2, 3), 1 / 3), ["A", "B"], classes=CLASSES, groups=["x", "y", "z"])
