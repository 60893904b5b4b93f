"""Each task is whole: what it names exists, and its pool and rule ask for columns that its specification makes."""

import pytest

from radiocard.cardiac.dictionary import CLINICAL
from radiocard.cardiac.map_dictionary import map_columns
from radiocard.cardiac.scar_dictionary import SCAR
from radiocard.cohort.table import describe
from radiocard.errors import SpecError
from radiocard.features.registry import texture_column, texture_tags
from radiocard.models.pools import pool_columns, read_pools
from radiocard.models.rule import read_rule
from radiocard.simulate.map_classes import TASKS
from radiocard.specs import RuleSpec, TaskSpec, parse_as, read_recipe, read_spec, read_task, shipped_names
from radiocard.study.demo import MAP_TASKS

NAMES = shipped_names("models", TaskSpec)
RULES = shipped_names("models", RuleSpec)
T2_RULE_WITHOUT_A_TASK = "rule_t2_spread"


def columns_of(spec):
    """Names of all columns that a specification makes, by the dictionaries and not by an extraction."""
    measured = list(SCAR) if spec.scar else map_columns(spec.maps.sequences) if spec.maps else list(CLINICAL)
    tags = texture_tags(spec)
    return {*measured, *(texture_column(r, *key, tag) for key in spec.keys for r in spec.regions for tag in tags)}


def rule_columns(name):
    return {x.column for c in read_rule(name).classes for group in c.criteria for x in group.of}


def test_the_tasks_that_come_with_it():
    assert {"cine", "t1-amyloid", "ecv-amyloid", "t1-dcm", "t1-hhd-hcm", "t2-myocarditis"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_task_names_exists(name):
    task = read_task(name)
    assert task.name == name
    assert task.pool in read_pools().pools
    assert [read_recipe(model).name for model in task.models] == list(task.models)
    assert read_rule(task.rule).name == task.rule
    assert read_spec(task.spec).name == task.spec
    assert task.study
    assert task.title


@pytest.mark.parametrize("name", [name for name in NAMES if name != "cine"])
def test_every_entry_of_the_pool_is_a_column_of_the_specification(name):
    task = read_task(name)
    made = columns_of(read_spec(task.spec))
    entries = read_pools().pools[task.pool]
    assert len(entries) == len(set(entries))
    assert set(entries) <= made
    assert pool_columns(task.pool, sorted(made)) == list(entries)


@pytest.mark.parametrize("pool", [p for p in read_pools().pools if p.startswith(("t1", "t2", "ecv"))])
def test_every_entry_of_a_pool_of_maps_is_in_the_dictionary(pool):
    entries = read_pools().pools[pool]
    assert [e for e in entries if describe(e) is None] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_column_of_the_rule_is_made_by_the_specification(name):
    task = read_task(name)
    assert rule_columns(task.rule) <= columns_of(read_spec(task.spec))


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_belongs_to_a_task_or_is_named_here(rule):
    used = {read_task(name).rule for name in NAMES} | {T2_RULE_WITHOUT_A_TASK}
    assert rule in used
    assert [c for c in rule_columns(rule) if describe(c) is None] == []


def test_the_rule_on_the_spread_of_t2_is_for_the_t2_map():
    assert rule_columns(T2_RULE_WITHOUT_A_TASK) <= columns_of(read_spec("t2_map"))


@pytest.mark.parametrize("name", list(MAP_TASKS))
def test_the_simulated_groups_are_those_of_the_rule(name):
    simulated, _ = MAP_TASKS[name]
    assert {c.label for c in read_rule(read_task(name).rule).classes} == set(TASKS[simulated])


@pytest.mark.parametrize(
    ("rule", "label", "column", "value"),
    [
        ("rule_t1_dcm", "DCM", "t1_native_ms", 1243 + 2 * 42),  # controls of Zhan et al. 2021 at 3 T, mean + 2 SD
        ("rule_t1_hhd_hcm", "HCM", "t1_native_ms", 1243 + 2 * 42),
        ("rule_lake_louise_2018", "MYOC", "t2_ms", 60.0 + 2 * 4.2),
        ("rule_lake_louise_2018", "MYOC", "t1_native_ms", 946 + 2 * 23),
        ("rule_t2_spread", "MYOC", "t2_mad_log_sd", 0.22),  # Baessler et al. 2015
        ("rule_t2_spread", "MYOC", "t2_segment_max_ms", 68),
    ],
)
def test_cut_offs_follow_from_what_was_published(rule, label, column, value):
    found = {
        x.column: x.value for c in read_rule(rule).classes if c.label == label for g in c.criteria for x in g.of
    }  # fmt: skip
    assert found[column] == pytest.approx(value)


def test_an_unknown_task_names_the_nearest():
    with pytest.raises(SpecError, match="There is no shipped task 't1-amiloid'. Did you mean 't1-amyloid'"):
        read_task("t1-amiloid")


def test_a_task_without_models_is_refused():
    data = read_task("cine").model_dump(mode="json", by_alias=True) | {"models": []}
    with pytest.raises(SpecError, match="models: Tuple should have at least 1 item"):
        parse_as(TaskSpec, data, "t.yaml")
    with pytest.raises(SpecError, match="limit"):
        parse_as(TaskSpec, data | {"models": ["rf"], "limit": []}, "t.yaml")
