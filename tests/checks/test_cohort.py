import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiocard.checks.cohort import identical_images, image_groups
from radiocard.errors import CohortError


def test_patients_without_a_twin_stand_alone():
    digests = {"a": "1-2", "b": "3-4"}
    assert image_groups(digests) == {"a": "a", "b": "b"}
    assert identical_images(digests) == []


def test_one_phase_in_common_is_enough_and_groups_chain():
    digests = {"d": "7-8", "c": "4-5", "b": "2-4", "a": "1-2"}
    assert image_groups(digests) == {"a": "a", "b": "a", "c": "a", "d": "d"}


def test_twins_are_flagged_on_both_sides():
    issues = identical_images({"p74": "1-2", "p75": "3-4", "p76": "1-2"}, labels={"p74": "RV", "p76": "RV"})
    assert [(issue.code, issue.case, issue.severity) for issue in issues] == [
        ("W_IDENTICAL_IMAGES", "p74", "warn"),
        ("W_IDENTICAL_IMAGES", "p76", "warn"),
    ]
    assert issues[0].message == "The image is identical to that of p76."


def test_twins_with_different_labels_abort():
    with pytest.raises(CohortError, match="a and b are identical, but their labels are 'DCM' and 'NOR'"):
        identical_images({"a": "1", "b": "1"}, labels={"a": "DCM", "b": "NOR"})


@pytest.mark.parametrize("unknown", [None, float("nan")])
def test_an_unknown_label_contradicts_nothing(unknown):
    assert len(identical_images({"a": "1", "b": "1"}, labels={"a": "DCM", "b": unknown})) == 2


@given(
    st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.lists(st.sampled_from("0123456789"), max_size=3)),
    st.randoms(),
)
def test_groups_are_exactly_the_connected_components_in_any_order(members, random):
    digests = {patient: "-".join(parts) for patient, parts in members.items()}
    groups = image_groups(digests)
    names = list(digests)
    random.shuffle(names)
    assert image_groups({name: digests[name] for name in names}) == groups
    for patient in members:
        reached = {patient}
        while True:
            pieces = {part for name in reached for part in members[name]}
            grown = reached | {name for name in members if pieces & set(members[name])}
            if grown == reached:
                break
            reached = grown
        assert {name for name in members if groups[name] == groups[patient]} == reached
        assert groups[patient] == min(reached)
