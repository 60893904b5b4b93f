from functools import cache

import numpy as np
import pytest

from radiocard.simulate.map_classes import FIELD_STRENGTH_T, LATENTS, TASKS, correlation, draw_map_latents

N = 1500


@cache
def draws(task, group):
    rng = np.random.default_rng(5)
    found = [draw_map_latents(TASKS[task][group], rng) for _ in range(N)]
    return {name: np.array([f[name] for f in found]) for name in LATENTS}


@pytest.mark.parametrize(
    ("task", "group", "mean", "sd"),
    [
        # Zhan et al., Iran J Radiol 18 (2021) e113335, 3 T
        ("t1-amyloid", "NOR", 1243, 42),
        ("t1-amyloid", "HCM", 1304, 42),
        ("hhd-hcm", "HHD", 1309, 62),
        ("t1-amyloid", "AMYL", 1449, 68),
        # Ferreira et al., JCMR 16 (2014) 36, 1.5 T
        ("myocarditis", "NOR", 946, 23),
        ("myocarditis", "MYOC", 1011, 64),
    ],
)
def test_native_t1_is_as_published(task, group, mean, sd):
    t1 = draws(task, group)["t1_ms"]
    assert t1.mean() == pytest.approx(mean, abs=4 * sd / N**0.5)
    assert t1.std() == pytest.approx(sd, rel=0.08)


@pytest.mark.parametrize(
    ("group", "mean", "sd"),
    # doi:10.1038/s41598-018-27049-1 and, for amyloidosis, doi:10.1038/s41598-021-94650-2
    [("NOR", 24, 2), ("HCM", 28, 3), ("AMYL", 50, 9)],
)
def test_ecv_is_as_published(group, mean, sd):
    ecv = draws("t1-amyloid", group)["ecv_pct"]
    assert ecv.mean() == pytest.approx(mean, abs=4 * sd / N**0.5)
    assert ecv.std() == pytest.approx(sd, rel=0.1)
    assert ecv.min() > 0


def test_latents_correlate_as_stated():
    found = draws("t1-amyloid", "NOR")
    z = [found["t1_ms"], np.log(found["ecv_pct"]), np.log(found["lvmi_g_m2"]), np.log(found["septal_excess"])]
    r = np.corrcoef(z)
    assert r[0, 1] == pytest.approx(0.6, abs=0.06)
    assert r[2, 3] == pytest.approx(0.2, abs=0.08)
    assert r[0, 2] == pytest.approx(0.0, abs=0.08)


def test_correlation_of_a_selection_is_a_part_of_the_whole():
    chosen = ("ecv_pct", "t1_ms", "focal_ms")
    columns = [LATENTS.index(name) for name in chosen]
    np.testing.assert_array_equal(correlation(chosen), correlation()[np.ix_(columns, columns)])
    assert np.linalg.eigvalsh(correlation()).min() > 0.1


def test_groups_of_a_task_differ_in_nothing_but_the_latents():
    assert set(FIELD_STRENGTH_T) == set(TASKS)
    for models in TASKS.values():
        assert len(models) >= 2
    # T2 tells nothing where there is no T2 map
    for task in ("t1-amyloid", "dcm", "hhd-hcm"):
        assert len({model.t2_ms for model in TASKS[task].values()}) == 1
