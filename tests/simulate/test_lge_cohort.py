import numpy as np
import pytest

from radiocard.errors import UsageError
from radiocard.simulate.lge_cohort import LGE_CLASSES, draw_scar, simulate_lge_cohort


def test_ischaemic_scar_begins_at_the_endocardium_and_the_other_spares_it():
    rng = np.random.default_rng(0)
    drawn = {group: [draw_scar(group, rng) for _ in range(60)] for group in LGE_CLASSES}
    assert all(scar.depths[0] == 0 for scar in drawn["ISCH"])
    assert all(scar.depths[0] > 0.2 for scar in drawn["NISCH"])
    assert {scar.pattern for scar in drawn["NISCH"]} == {"mid_wall", "subepicardial"}


def test_the_same_seed_gives_the_same_patients_and_shuffling_only_moves_labels():
    first, again = (simulate_lge_cohort(per_class=1, seed=3) for _ in range(2))
    shuffled = simulate_lge_cohort(per_class=1, seed=3, permute_classes=True)
    for a, b, c in zip(first, again, shuffled, strict=True):
        np.testing.assert_array_equal(a.case.images["lge", ""].array, b.case.images["lge", ""].array)
        np.testing.assert_array_equal(a.case.images["lge", ""].array, c.case.images["lge", ""].array)
        assert a.case.clinical["diagnosis"] == a.parameters["group"] == c.parameters["group"]
    labels = [[p.case.clinical["diagnosis"] for p in cohort] for cohort in (first, shuffled)]
    assert sorted(labels[0]) == sorted(labels[1]) == ["ISCH", "NISCH"]


@pytest.mark.parametrize(("per_class", "seed"), [(0, 1), (1, -1)])
def test_refuses_no_patient_and_no_seed(per_class, seed):
    with pytest.raises(UsageError, match="expected at least 1 and 0"):
        simulate_lge_cohort(per_class=per_class, seed=seed)
