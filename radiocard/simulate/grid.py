"""Where the voxels of a simulated study lie: the scanner's grid in the heart's own coordinates and in the world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from radiocard.simulate.heart import THETA, Float, PhaseShape

Float32 = NDArray[np.float32]

# Base to apex points left, anterior and inferior; the septum faces right and anterior (RAS+).
LONG_AXIS = np.array([-0.652, 0.600, -0.464])
SEPTAL = np.array([0.742, 0.627, -0.237])

ANGLE_STEPS = 720
LABEL_RV, LABEL_MYOCARDIUM, LABEL_LV = 1, 2, 3


@dataclass(frozen=True, eq=False)
class Window:
    """The part of a stack around the heart, in polar coordinates about the heart's axis.

    Parameters
    ----------
    where : tuple of slice
        Position in the stack, indexed k, i, j.
    radius_mm : ndarray, shape (n_slices, ni, nj)
        Distance from the axis [mm].
    angle : ndarray of int, same shape
        Row of :func:`angle_table`.
    """

    where: tuple[slice, slice, slice]
    radius_mm: Float32
    angle: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Grid:
    """Short-axis stack of one patient.

    Parameters
    ----------
    size : int
        Pixels per row and per column.
    pixel_mm : float
        In-plane spacing.
    levels_mm : ndarray, shape (n_slices,)
        Position of the slices along the heart's axis, in storage order.
    turn_deg : float
        In-plane rotation of the image against the usual short-axis view.
    centre_mm : ndarray, shape (2,)
        Image centre, right and up of the heart's axis in the image.
    shift_mm : ndarray, shape (n_slices, 2)
        In-plane displacement of each slice: tilt of the axis against the stack, and breath-hold position.
    """

    size: int
    pixel_mm: float
    levels_mm: Float
    turn_deg: float
    centre_mm: Float
    shift_mm: Float

    def in_plane(self) -> tuple[Float32, Float32]:
        """Return right, shape (n_slices, size, 1), and up, shape (n_slices, 1, size), of the heart's axis [mm]."""
        steps = (np.arange(self.size) - (self.size - 1) / 2) * self.pixel_mm
        right = (self.centre_mm[0] + steps)[None, :, None] - self.shift_mm[:, 0, None, None]
        up = (self.centre_mm[1] - steps)[None, None, :] - self.shift_mm[:, 1, None, None]
        return right.astype(np.float32), up.astype(np.float32)

    def window(self, reach_mm: float) -> Window:
        """Return the pixels within ``reach_mm`` of the heart's axis, as a polar window."""
        right, up = self.in_plane()
        rows = np.flatnonzero((np.abs(right[:, :, 0]) < reach_mm).any(axis=0))
        columns = np.flatnonzero((np.abs(up[:, 0, :]) < reach_mm).any(axis=0))
        i, j = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        right, up = right[:, i], up[:, :, j]
        turn = np.deg2rad(self.turn_deg)
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        x, y = right * cos - up * sin, right * sin + up * cos
        angle = np.rint(np.arctan2(y, x) * np.float32(ANGLE_STEPS / (2 * np.pi))).astype(np.intp) % ANGLE_STEPS
        return Window((slice(None), i, j), np.hypot(x, y), angle)

    def affine(self, rotation: Rotation, position_mm: Float) -> Float:
        """Return voxel indices ``i, j, k`` to RAS+ [mm], shape (4, 4).

        Parameters
        ----------
        rotation : Rotation
            Individual rotation of the heart in the chest.
        position_mm : ndarray, shape (3,)
            World position of the valve plane's centre at end-diastole.
        """
        axis, septal = LONG_AXIS / np.linalg.norm(LONG_AXIS), SEPTAL
        septal = septal - axis * (axis @ septal)
        septal = septal / np.linalg.norm(septal)
        anterior = np.cross(septal, axis)
        axis, septal, anterior = rotation.apply(np.array([axis, septal, anterior]))
        turn = np.deg2rad(self.turn_deg)
        right = np.cos(turn) * -septal + np.sin(turn) * anterior
        up = np.sin(turn) * septal + np.cos(turn) * anterior
        step = float(self.levels_mm[1] - self.levels_mm[0])
        half = (self.size - 1) / 2 * self.pixel_mm
        out = np.eye(4)
        out[:3, 0], out[:3, 1], out[:3, 2] = right * self.pixel_mm, -up * self.pixel_mm, axis * step
        corner = (self.centre_mm[0] - half) * right + (self.centre_mm[1] + half) * up
        out[:3, 3] = position_mm + corner + self.levels_mm[0] * axis
        return out


def angle_table(curves: Float) -> Float:
    """Resample curves over :data:`heart.THETA`, shape (n, N_THETA), to (n, ANGLE_STEPS)."""
    position = (np.arange(ANGLE_STEPS) * 360.0 / ANGLE_STEPS - THETA[0]) / (THETA[1] - THETA[0])
    low = np.floor(position).astype(int)
    part = position - low
    return (1 - part) * curves[:, low % THETA.size] + part * curves[:, (low + 1) % THETA.size]


def label_slices(shape: PhaseShape, grid: Grid, window: Window) -> NDArray[np.uint8]:
    """Label every voxel by its centre.

    Returns
    -------
    ndarray of uint8, shape (size, size, n_slices)
        0 background, 1 right ventricle, 2 myocardium, 3 left ventricle; indexed i, j, k.
    """
    endo, epi = map(angle_table, shape.rings(grid.levels_mm))
    reach = shape.rv_reach(grid.levels_mm, np.arange(ANGLE_STEPS) * 360.0 / ANGLE_STEPS)
    part = np.zeros(window.radius_mm.shape, dtype=np.uint8)
    for k in np.flatnonzero((epi.max(axis=1) > 0) | (reach.max(axis=1) > 0)):
        r, a = window.radius_mm[k], window.angle[k]
        part[k][r < (epi[k] + reach[k])[a]] = LABEL_RV
        part[k][r < epi[k][a]] = LABEL_MYOCARDIUM
        part[k][r < endo[k][a]] = LABEL_LV
    out = np.zeros((len(grid.levels_mm), grid.size, grid.size), dtype=np.uint8)
    out[window.where] = part
    return np.ascontiguousarray(out.transpose(1, 2, 0))
