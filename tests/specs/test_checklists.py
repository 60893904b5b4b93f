"""Items of the reporting checklists: complete, once each, in short words."""

import pytest

from radiocard.errors import SpecError
from radiocard.specs import parse_as, read_as, shipped_names
from radiocard.specs.checklists import ChecklistSpec

# What the papers count: CLEAR 58, METRICS 30 and five conditions, TRIPOD+AI 27 (52 with their letters).
COUNTS = {"clear": (58, 58, 0), "metrics": (30, 30, 5), "tripod_ai": (27, 52, 0)}
# Letters of the TRIPOD+AI items that have parts, as its table prints them.
LETTERED = {3: "c", 5: "b", 6: "c", 8: "c", 9: "c", 12: "g", 18: "f", 20: "c", 23: "b", 27: "c"}
MINIMAL = {
    "schema": "radiocard/checklist/1",
    "name": "x",
    "title": "X",
    "citation": "c",
    "doi": "d",
    "n_items": 1,
    "sections": [{"title": "s", "items": [{"number": "1", "topic": "t", "write": "w."}]}],
}


def items(name):
    spec = read_as(ChecklistSpec, name, "models")
    return [item for section in spec.sections for item in section.items]


def test_the_three_checklists_are_shipped():
    assert shipped_names("models", ChecklistSpec) == sorted(COUNTS)


@pytest.mark.parametrize("name", COUNTS)
def test_every_item_stands_once(name):
    n, parts, conditions = COUNTS[name]
    found = items(name)
    assert read_as(ChecklistSpec, name, "models").n_items == n
    assert sum(not i.condition for i in found) == parts
    assert [i.number for i in found if i.condition] == [f"C{k + 1}" for k in range(conditions)]
    if name != "tripod_ai":
        assert [i.number for i in found if not i.condition] == [str(k + 1) for k in range(n)]


def test_tripod_ai_has_its_lettered_parts():
    letters = {k: "abcdefg"[: "abcdefg".index(last) + 1] for k, last in LETTERED.items()}
    expected = [f"{k}{letter}" for k in range(1, 28) for letter in letters.get(k, ("",))]
    assert [i.number for i in items("tripod_ai")] == expected


@pytest.mark.parametrize("name", COUNTS)
def test_topics_are_short_and_hints_are_sentences(name):
    assert max(len(i.topic) for i in items(name)) <= 50
    assert all(i.write.endswith(".") and not i.write[0].isspace() for i in items(name))


def one_item(**changes):
    item = {"number": "1", "topic": "t", "write": "w."} | changes
    return MINIMAL | {"sections": [{"title": "s", "items": [item]}]}


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (MINIMAL | {"n_items": 2}, "n_items: the sections hold 1 items, expected 2"),
        (MINIMAL | {"sections": MINIMAL["sections"] * 2}, "item 1 stands more than once"),
        (one_item(answered_by=["a"], partly_by=["b"]), "item 1 is both answered and partly answered"),
        (one_item(number="one"), "pattern"),
        (one_item(answered_by=["a", "a"]), "more than once: a"),
        (one_item(topic="t" * 81), "at most 80"),
        (one_item(weight=0.1), "weight: Extra inputs"),
    ],
)
def test_a_bad_checklist_is_refused(data, match):
    with pytest.raises(SpecError, match=match):
        parse_as(ChecklistSpec, data, "x")


def test_a_minimal_checklist_reads():
    assert parse_as(ChecklistSpec, MINIMAL, "x").n_items == 1
