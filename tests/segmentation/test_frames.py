from dataclasses import replace

import numpy as np
import pytest

from radiocard.errors import UsageError
from radiocard.segmentation.frames import find_phases
from radiocard.simulate.cohort import simulate_patient
from radiocard.simulate.grid import LABEL_LV, Grid, label_slices
from radiocard.simulate.heart import HeartParameters, end_diastole, end_systole


def curve(n=30, es=0.35, ef=0.6, edv=150.0):
    """A smooth beat: down to end-systole, up again, from end-diastole at frame 0."""
    t = np.arange(n) / n
    phase = np.where(t < es, t / es, 1 - (t - es) / (1 - es))
    return edv * (1 - ef * (1 - np.cos(np.pi * phase)) / 2)


@pytest.mark.parametrize("n", [10, 20, 30, 40])
@pytest.mark.parametrize("es", [0.3, 0.4, 0.5])
def test_a_smooth_beat_has_its_ends_where_they_are(n, es):
    found = find_phases(curve(n, es=round(es * n) / n))
    assert found.ed == 0
    assert abs(found.es - round(es * n)) <= 1
    assert found.issues == ()


def test_the_curve_is_cyclic():
    volumes = curve(25)
    at_start = find_phases(volumes)
    for shift in range(25):
        found = find_phases(np.roll(volumes, shift))
        assert found.ed == (at_start.ed + shift) % 25
        assert found.es == (at_start.es + shift) % 25


def test_the_last_frame_is_near_the_first():
    found = find_phases(np.roll(curve(), -2))
    assert found.ed == 28
    assert found.issues == ()


def test_the_slip_of_one_frame_does_not_decide():
    volumes = curve()
    volumes[20] = 35.0  # below the end-systolic volume of 60
    found = find_phases(volumes)
    assert abs(found.es - 10) <= 1


def test_smoothing_keeps_the_mean_volume():
    volumes = curve() + np.random.default_rng(0).normal(0, 5, 30)
    assert find_phases(volumes).smooth_ml.mean() == pytest.approx(volumes.mean())


@pytest.mark.parametrize(
    ("volumes", "message"),
    [
        (np.roll(curve(), 12), "End-diastole is frame 13 of 30"),
        (curve(ef=0.04), "changes by 4% only"),
        (curve() + 40 * (-1.0) ** np.arange(30), "scatters by 40.0 mL"),
        (np.where(np.arange(30) == 10, 0, curve()), "1 of 30 frames have no left ventricle"),
    ],
)
def test_a_doubtful_curve_is_warned_of(volumes, message):
    (issue,) = find_phases(volumes, case="a").issues
    assert message in issue.message
    assert (issue.code, issue.severity, issue.case) == ("W_PHASE", "warn", "a")


def test_a_frame_without_ventricle_is_never_chosen():
    volumes = curve()
    volumes[[0, 10, 11]] = [np.nan, 0.0, 0.0]
    found = find_phases(volumes)
    assert found.ed in (1, 29)
    assert found.es in (9, 12)


def test_too_few_frames_are_refused():
    with pytest.raises(UsageError, match="There are 4 frames"):
        find_phases([100, 80, 60, 90])
    with pytest.raises(UsageError, match="11 of 30 frames have no left ventricle"):
        find_phases(np.where(np.arange(30) < 11, 0, curve()))


def beating(heart, n, es_frame):
    """LV volumes [mL] of the label maps of a phantom that beats once."""
    names = HeartParameters.__dataclass_fields__
    p = HeartParameters(**{name: heart.parameters[name] for name in names})
    ed = end_diastole(p)
    levels = np.arange(-10.0, ed.apex_mm + 10, 8.0)
    grid = Grid(110, 1.5, levels, 0.0, np.zeros(2), np.zeros((levels.size, 2)))
    window = grid.window(float(ed.epi_mm.max()) + ed.rv_reach_mm + 5)
    depth = (1 - curve(n, es=es_frame / n, ef=1.0, edv=1.0)).clip(1e-3)
    shapes = [end_systole(replace(p, lvef=d * p.lvef, rvef=d * p.rvef), ed) for d in depth]
    return [float((label_slices(s, grid, window) == LABEL_LV).sum()) * 1.5 * 1.5 * 8 / 1000 for s in shapes]


@pytest.mark.parametrize("group", ["NOR", "DCM", "HCM"])
def test_the_beating_phantom(group):
    volumes = beating(simulate_patient(group, 2, seed=8), 24, 9)
    found = find_phases(volumes)
    assert found.ed in (23, 0, 1)
    assert abs(found.es - 9) <= 1
    assert found.issues == ()
