"""Directions against a heart made from a formula in world axes, in every storage order."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from radiocard.cardiac.orientation import apex_step, axes_in_grid, heart_axes
from radiocard.cardiac.regional import thickness_values
from radiocard.cardiac.segments import map_segments
from radiocard.cardiac.wall import wall_samples

ORDERS = [(o, f) for o in itertools.permutations(range(3)) for f in itertools.product((False, True), repeat=3)]


@pytest.fixture(scope="module")
def coarse(made):
    return made.Grid(spacing=(2.2, 2.2, 9.0), rotation_deg=20, shape=(52, 56, 11))


@pytest.fixture(scope="module")
def bumped(made):
    return made.Heart(anterior_bump_mm=6.0, taper=0.8)


def test_the_made_heart_is_anatomical(made):
    assert made.APEX[0] < 0 < made.APEX[1]
    assert made.APEX[2] < 0 < made.SEPTUM[0]
    # seen from the apex with the septum on the left, anterior is up: (right, up, towards viewer) is right-handed
    assert np.linalg.det(np.column_stack([-made.SEPTUM, made.ANTERIOR, made.APEX])) == pytest.approx(1.0)
    assert made.ANTERIOR[2] > 0.5  # the anterior wall of a real heart faces up and forwards


def measured(mask):
    return thickness_values(wall_samples(mask, map_segments(mask, heart_axes(mask))), "ed")


def thickest_mid_segment(values):
    return max(range(7, 13), key=lambda n: values[f"wt_aha_{n:02d}_ed_mm"])


@pytest.fixture(scope="module")
def as_drawn(made, coarse, bumped):
    return measured(made.paint(bumped, coarse))


@pytest.mark.parametrize(("order", "flips"), ORDERS)
def test_all_48_storage_orders_are_one_heart(made, coarse, bumped, as_drawn, order, flips):
    mask = made.stored(made.paint(bumped, coarse), order, flips)
    axes = heart_axes(mask)
    assert axes.proof.proven
    np.testing.assert_allclose(axes.base_to_apex, made.APEX, atol=1e-9)
    assert axes.septal @ made.SEPTUM > 0.999
    values = measured(mask)
    assert values == pytest.approx(as_drawn, abs=1e-9)
    assert thickest_mid_segment(values) == 7  # the bump of the formula lies on the anterior wall


@pytest.mark.parametrize(("axis", "reason"), [(0, "right ventricle does not lie"), (2, "base to apex points right")])
def test_a_mirrored_volume_is_refused(made, coarse, axis, reason):
    mask = made.paint(made.Heart(taper=0.8), replace(coarse, rotation_deg=0))
    mirrored = replace(mask, array=np.flip(mask.array, axis))
    proof = heart_axes(mirrored).proof
    assert not proof.proven
    assert reason in proof.reason


@pytest.mark.parametrize(
    ("apex", "reason"),
    [
        ((0.7, 0.6, -0.35), "points right"),
        ((-0.7, -0.6, -0.35), "points posterior"),
        ((-0.7, 0.6, 0.35), "points superior"),
        ((0.0, 0.0, -1.0), "does not point left"),
        ((-0.7, 0.7, 0.0), "does not point inferior"),
    ],
)
def test_a_heart_that_lies_otherwise_is_refused(made, coarse, apex, reason):
    b = np.array(apex) / np.linalg.norm(apex)
    s = np.array([1.0, 0.3, 0.0]) - (np.array([1.0, 0.3, 0.0]) @ b) * b
    grid = replace(coarse, apex=tuple(b), septum=tuple(s / np.linalg.norm(s)))
    axes = heart_axes(made.paint(made.Heart(taper=0.8), grid))
    assert not axes.proof.proven
    assert reason in axes.proof.reason
    assert "not proven" in axes.proof.reason


# Direction cosines of two ordinary short-axis series, slices stored from base to apex and from apex to base.
TYPICAL = [
    np.array([[-0.585, 0.346, -0.732], [-0.779, 0.0, 0.626], [-0.216, -0.938, -0.270]]),
    np.array([[-0.473, 0.556, 0.684], [-0.855, -0.101, -0.509], [-0.214, -0.826, 0.522]]),
]


@pytest.mark.parametrize(("directions", "step"), [(TYPICAL[0], 1), (TYPICAL[1], -1)])
def test_ordinary_short_axis_planes_are_accepted(made, directions, step):
    affine = np.eye(4)
    affine[:3, :3] = directions * [1.4, 1.4, 9.5]
    lateral, down, apex = directions[:, 0], directions[:, 1], step * directions[:, 2]
    grid = made.Grid(spacing=(1.4, 1.4, 9.5))
    mask = made.paint(
        made.Heart(taper=0.8, inner_mm=18, outer_mm=26), grid
    )  # drawn with the septum at low i, base at low k
    array = mask.array if step == 1 else np.flip(mask.array, 2)
    axes = heart_axes(replace(mask, array=array, affine=affine))
    assert axes.proof.proven, axes.proof.reason
    assert axes.apex_step == step
    np.testing.assert_allclose(axes.base_to_apex, apex, atol=2e-3)
    assert axes.septal @ -lateral > 0.99
    assert np.cross(axes.septal, axes.base_to_apex) @ -down > 0.99  # rows run down, so anterior is up


def test_a_file_without_orientation_is_not_proven(made, coarse):
    proof = heart_axes(replace(made.paint(made.Heart(), coarse), oriented=False)).proof
    assert not proof.proven
    assert "states no orientation" in proof.reason


def test_a_heart_without_base_or_apex_is_not_proven(made, coarse):
    mask = made.paint(made.Heart(rv_slices=9), coarse)  # a cylinder with a right ventricle over its whole length
    assert apex_step(mask) == 0
    proof = heart_axes(mask).proof
    assert not proof.proven
    assert "do not tell base from apex" in proof.reason


def test_lost_orientation_numbers_as_if_seen_from_the_apex_in_radiological_view(made, coarse, bumped):
    """Affine diag(-dx, -dy, dz): columns to the patient's left, rows to posterior, as on a screen."""
    mask = made.paint(replace(bumped, anterior_bump_mm=6.0), replace(coarse, rotation_deg=0))
    for array, dz in ((mask.array, 9.0), (np.flip(mask.array, 2), 9.0), (mask.array, -9.0)):
        lost = replace(mask, array=array, affine=np.diag([-2.2, -2.2, dz, 1.0]))
        axes = heart_axes(lost)
        assert not axes.proof.proven
        assert thickest_mid_segment(measured(lost)) == 7


def test_the_other_phase_takes_over_the_direction_of_the_heart(made, coarse):
    ed = made.paint(made.Heart(taper=0.8), coarse)
    es = made.stored(made.paint(made.Heart(rv_slices=9), coarse), (1, 0, 2), (False, True, True))
    axes = axes_in_grid(heart_axes(ed), es)
    assert axes.apex_step == -1
    assert axes.proof.proven
