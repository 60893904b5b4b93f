"""Hearts made from formulas, in any grid: the truth comes from the formula, never from radiocard."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest

from radiocard.image import LABELS_ACDC, Case, LabelMap
from radiocard.specs import CardiacSettings, read_spec

# A typical short-axis plane [RAS+]: base to apex left, anterior and inferior; septum to the right.
APEX = np.array([-0.72, 0.60, -0.35]) / np.linalg.norm([-0.72, 0.60, -0.35])
_RIGHT = np.array([0.6, 0.75, 0.2])
SEPTUM = (_RIGHT - (_RIGHT @ APEX) * APEX) / np.linalg.norm(_RIGHT - (_RIGHT @ APEX) * APEX)
ANTERIOR = np.cross(SEPTUM, APEX)


@dataclass(frozen=True)
class Heart:
    """A left ventricle as a stack of rings (a cylinder, or tapering), with a right ventricle on the septal side."""

    inner_mm: float = 20.0
    outer_mm: float = 30.0
    offset_mm: tuple[float, float] = (0.0, 0.0)  # inner circle's centre: towards septum, towards anterior
    anterior_bump_mm: float = 0.0
    taper: float = 0.0
    rv_slices: int = 6
    rv_half_angle_deg: float = 50.0
    open_deg: tuple[float, float] | None = None  # gap of the wall in the basal slice, from septum to anterior
    n_slices: int = 9


@dataclass(frozen=True)
class Grid:
    """Where the voxels lie: spacing [mm], rotation in the plane [degrees], shift [mm], directions."""

    spacing: tuple[float, float, float] = (1.5, 1.5, 9.0)
    rotation_deg: float = 0.0
    shift_mm: tuple[float, float] = (0.0, 0.0)
    septum: tuple[float, float, float] = tuple(SEPTUM.tolist())
    apex: tuple[float, float, float] = tuple(APEX.tolist())
    shape: tuple[int, int, int] = (72, 76, 11)

    @property
    def affine(self) -> np.ndarray:
        s, b = np.array(self.septum), np.array(self.apex)
        t = np.deg2rad(self.rotation_deg)
        lateral, down = -s, -np.cross(s, b)
        axes = np.column_stack(
            [np.cos(t) * lateral + np.sin(t) * down, -np.sin(t) * lateral + np.cos(t) * down, b]
        ) * np.array(self.spacing)
        middle = axes @ np.array([(self.shape[0] - 1) / 2, (self.shape[1] - 1) / 2, 1.0])
        affine = np.eye(4)
        affine[:3, :3] = axes
        affine[:3, 3] = self.shift_mm[0] * s + self.shift_mm[1] * np.cross(s, b) - middle
        return affine


def paint(heart: Heart, grid: Grid) -> LabelMap:
    """Draw the heart; slice 1 of the grid is its base, centred at the origin of the world."""
    index = np.indices(grid.shape).reshape(3, -1)
    world = grid.affine[:3, :3] @ index + grid.affine[:3, 3:]
    x, y, z = (np.array(d) @ world for d in (grid.septum, np.cross(grid.septum, grid.apex), grid.apex))
    z = np.rint(z / grid.spacing[2])
    scale = np.sqrt(np.clip(1.0 - heart.taper * (z / heart.n_slices) ** 2, 0.0, 1.0))
    inside = (z >= 0) & (z < heart.n_slices)
    angle = np.rad2deg(np.arctan2(y, x))
    outer = scale * heart.outer_mm + heart.anterior_bump_mm * np.exp(-(((angle - 90.0) / 30.0) ** 2))
    radius = np.hypot(x, y)
    labels = np.zeros(x.size, dtype=int)
    rv = (z < heart.rv_slices) & (np.abs(angle) <= heart.rv_half_angle_deg) & (radius < outer + 14.0)
    labels[inside & rv] = LABELS_ACDC["rv_cavity"]
    labels[inside & (radius < outer)] = LABELS_ACDC["lv_myocardium"]
    if heart.open_deg is not None:
        gap = (z == 0) & (angle >= heart.open_deg[0]) & (angle <= heart.open_deg[1])
        labels[gap & (labels == LABELS_ACDC["lv_myocardium"])] = 0
    cavity = np.hypot(x - heart.offset_mm[0], y - heart.offset_mm[1]) < scale * heart.inner_mm
    labels[inside & cavity] = LABELS_ACDC["lv_cavity"]
    return LabelMap(labels.reshape(grid.shape), grid.affine, labels=LABELS_ACDC)


def stored(mask: LabelMap, order: tuple[int, ...], flips: tuple[bool, ...]) -> LabelMap:
    """Store the same physical mask in another axis order and direction, then put the slice axis last."""
    array, affine = mask.array.transpose(order), mask.affine[:, [*order, 3]].copy()
    for axis, flip in enumerate(flips):
        if flip:
            array = np.flip(array, axis)
            affine[:, 3] += affine[:, axis] * (array.shape[axis] - 1)
            affine[:, axis] *= -1.0
    slices = order.index(2)
    back = [axis for axis in range(3) if axis != slices] + [slices]
    return replace(mask, array=array.transpose(back), affine=affine[:, [*back, 3]])


def case(ed: LabelMap, es: LabelMap, **clinical: object) -> Case:
    return Case("made", {}, {("cine", "ed"): ed, ("cine", "es"): es}, clinical)


@pytest.fixture(scope="session")
def made() -> SimpleNamespace:
    """The tools above, for tests that draw their own hearts."""
    return SimpleNamespace(
        Heart=Heart, Grid=Grid, paint=paint, stored=stored, case=case, APEX=APEX, SEPTUM=SEPTUM, ANTERIOR=ANTERIOR
    )


@pytest.fixture
def settings() -> CardiacSettings:
    return read_spec("cine_sax").cardiac
