"""Regions of the myocardium that scar is measured against: remote tissue, dark cores, grey zone.

All work slice by slice; the last axis is the slice axis.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiocard.cardiac.scar_methods import MIN_VOXELS
from radiocard.errors import MaskError
from radiocard.image import FloatArray, LabelMap

BoolArray = NDArray[np.bool_]

SECTOR_STEP_DEG = 10  # between the middles of neighbouring sectors
EIGHT = np.ones((3, 3), dtype=bool)  # pixels that share a corner are neighbours
FOUR_IN_PLANE = ndimage.generate_binary_structure(2, 1)[:, :, None]
EIGHT_IN_PLANE = EIGHT[:, :, None]


def wall_interior(wall: BoolArray, *, edge_pixels: int) -> BoolArray:
    """Return myocardium without the pixels beside cavity and outer border, which hold blood, fat or lung as well.

    Parameters
    ----------
    wall : ndarray of bool, shape (ni, nj, nk)
        Left ventricular myocardium.
    edge_pixels : int
        Width of the edge in the slice plane; 0 leaves the wall as it is.

    Returns
    -------
    ndarray of bool, shape (ni, nj, nk)
        In a slice whose interior is less than half of its wall (thin walls, the apex), the whole wall.
    """
    if not edge_pixels:
        return wall.copy()
    inner: BoolArray = ndimage.binary_erosion(wall, FOUR_IN_PLANE, iterations=edge_pixels)
    thin = 2 * inner.sum(axis=(0, 1)) < wall.sum(axis=(0, 1))
    inner[:, :, thin] = wall[:, :, thin]
    return inner


def beside(interior: BoolArray, bright: BoolArray, *, edge_pixels: int) -> BoolArray:
    """Return bright myocardium in the interior of the wall, and at its edge where that is connected to it.

    A rim of partial volume alone, along the cavity or beside fat, is no scar.

    Parameters
    ----------
    interior, bright : ndarray of bool, shape (ni, nj, nk)
        Interior of the wall; bright myocardium, edge included.
    edge_pixels : int
        Width of the edge.

    Returns
    -------
    ndarray of bool, shape (ni, nj, nk)
    """
    found = bright & interior
    if not edge_pixels or not found.any():
        return found
    return np.asarray(ndimage.binary_dilation(found, EIGHT_IN_PLANE, iterations=edge_pixels, mask=bright))


def largest_patch(region: BoolArray) -> BoolArray:
    """Return the largest connected patch of a region in one slice.

    Parameters
    ----------
    region : ndarray of bool, shape (ni, nj, nk)

    Returns
    -------
    ndarray of bool, shape (ni, nj, nk)
        Empty for an empty region.
    """
    flat = np.zeros((3, 3, 3), dtype=bool)
    flat[:, :, 1] = True
    parts, n = ndimage.label(region, flat)
    if not n:
        return region.copy()
    return np.asarray(parts == 1 + int(np.bincount(parts.ravel())[1:].argmax()))


def darkest_sector(
    values: FloatArray, mask: LabelMap, *, width_deg: float, within: BoolArray | None = None
) -> BoolArray:
    """Return the sector of lowest mean grey value of each slice, as remote myocardium.

    Sectors are cut around the centroid of cavity and myocardium, one every 10 degrees. The lowest
    of 36 means lies below the mean of normal myocardium, and a sector of no-reflow is
    darker than remote myocardium; a region drawn by a reader has neither fault.

    Parameters
    ----------
    values : ndarray of float, shape (ni, nj, nk)
        Late gadolinium image.
    mask : LabelMap
        ``lv_cavity`` and ``lv_myocardium`` (scar included).
    width_deg : float
        Angle that a sector spans [degrees]; 60 is the width of a basal segment.
    within : ndarray of bool, shape (ni, nj, nk), optional
        Part of the myocardium to choose from, for example its interior; else all of it.

    Returns
    -------
    ndarray of bool, shape (ni, nj, nk)
        Empty in slices of which no sector holds ten voxels, such as the tip of the apex.

    Raises
    ------
    MaskError
        If a region is unknown or empty, or no sector of any slice holds ten voxels
        (``E_ROI_SIZE``).
    """
    wall = mask.mask("lv_myocardium")
    heart = wall | mask.mask("lv_cavity")
    spacing = np.asarray(mask.spacing_mm[:2])
    out = np.zeros(wall.shape, dtype=bool)
    middles = np.deg2rad(np.arange(0, 360, SECTOR_STEP_DEG))
    for k in np.flatnonzero(wall.any(axis=(0, 1))).tolist():
        pixels = np.argwhere(wall[:, :, k] if within is None else wall[:, :, k] & within[:, :, k])
        offset = (pixels - np.argwhere(heart[:, :, k]).mean(axis=0)) * spacing
        angle = np.arctan2(offset[:, 1], offset[:, 0])
        apart = np.abs(np.angle(np.exp(1j * (angle[None] - middles[:, None]))))
        sectors = apart <= np.deg2rad(width_deg) / 2.0
        size = sectors.sum(axis=1)
        if size.max() < MIN_VOXELS:
            continue
        total = sectors @ values[pixels[:, 0], pixels[:, 1], k]
        mean = np.where(size >= MIN_VOXELS, total / np.maximum(size, 1), np.inf)
        chosen = pixels[sectors[int(mean.argmin())]]
        out[chosen[:, 0], chosen[:, 1], k] = True
    if not out.any():
        msg = f"No sector of any slice holds {MIN_VOXELS} voxels of myocardium."
        raise MaskError(msg, code="E_ROI_SIZE", field="remote", hint="Give a remote region, drawn in the images.")
    return out


def enclosed_core(scar: BoolArray, wall: BoolArray, cavity: BoolArray) -> BoolArray:
    """Return myocardium that scar encloses, alone or together with the cavity: no-reflow [1]_.

    No-reflow takes up no contrast agent, lies in the core of an infarct and often reaches the
    endocardium. Myocardium inside a closed ring of mid-wall scar is not enclosed: it goes all the
    way round the cavity.

    Parameters
    ----------
    scar, wall, cavity : ndarray of bool, shape (ni, nj, nk)
        Scar, left ventricular myocardium (scar included) and cavity.

    Returns
    -------
    ndarray of bool, shape (ni, nj, nk)

    References
    ----------
    .. [1] Wu et al., Circulation 97 (1998) 765
    """
    out = np.zeros(wall.shape, dtype=bool)
    for k in np.flatnonzero(scar.any(axis=(0, 1))).tolist():
        healthy = wall[:, :, k] & ~scar[:, :, k]
        parts, n = ndimage.label(healthy)
        outside = ndimage.binary_dilation(~(wall[:, :, k] | cavity[:, :, k]), border_value=1)
        reaching = np.unique(parts[outside & healthy])
        for part in set(range(1, n + 1)) - set(reaching.tolist()):
            here = parts == part
            if not (ndimage.binary_fill_holes(here, EIGHT) & cavity[:, :, k]).any():
                out[:, :, k] |= here
    return out


def grey_zone(raised: BoolArray, core: BoolArray) -> BoolArray:
    """Return moderately enhanced myocardium that is connected to the core of a scar [1]_ [2]_.

    Parameters
    ----------
    raised : ndarray of bool, shape (ni, nj, nk)
        Myocardium above the lower threshold of the grey zone.
    core : ndarray of bool, shape (ni, nj, nk)
        Densely enhanced core.

    Returns
    -------
    ndarray of bool, shape (ni, nj, nk)
        Without the core. Raised voxels that no chain of such voxels in the slice connects to a
        core are noise.

    References
    ----------
    .. [1] Schmidt et al., Circulation 115 (2007) 2006
    .. [2] Yan et al., Circulation 114 (2006) 32
    """
    return np.asarray(ndimage.binary_propagation(core, EIGHT_IN_PLANE, raised | core) & ~core)
