"""End-diastole and end-systole of a cine whose every frame was segmented."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radiocard.errors import Issue, UsageError

FloatArray = NDArray[np.floating[Any]]

MIN_FRAMES = 5
MAX_ABSENT = 0.25  # of the frames may lack a left ventricle
NEAR_FIRST = 0.15  # of the cycle: triggered cines begin at end-diastole
LEAST_EJECTION = 0.10  # of the largest volume; less is not a beat that can be told from noise
MOST_NOISE = 0.10  # standard deviation about the smooth curve over its range
_FRAMES_TO_JUDGE_NOISE = 10  # with fewer, the smoothing takes from the beat itself
_KERNEL = (0.25, 0.5, 0.25)


@dataclass(frozen=True, eq=False)
class CardiacPhases:
    """Which frames are end-diastole and end-systole.

    Parameters
    ----------
    ed, es : int
        Frames, from 0.
    smooth_ml : ndarray of float, shape (n_frames,)
        The smoothed volumes [mL].
    issues : tuple of Issue
        ``W_PHASE`` for each reason to look at the choice.
    """

    ed: int
    es: int
    smooth_ml: FloatArray
    issues: tuple[Issue, ...]


def find_phases(volumes_ml: ArrayLike, *, case: str | None = None) -> CardiacPhases:
    """Find end-diastole (largest) and end-systole (smallest LV volume) of a cine.

    The curve is taken as cyclic and smoothed lightly (weights 1/4, 1/2, 1/4), so that the slip of one
    frame does not decide. Smoothing shifts the top of an uneven curve, so the frame with the largest
    (smallest) volume is chosen of that top and the frames beside it. Frames without a left ventricle
    are bridged by a straight line, and never chosen.

    Parameters
    ----------
    volumes_ml : array_like of float, shape (n_frames,)
        LV cavity volume of each frame over one cardiac cycle [mL]; 0 or NaN where none was found.
    case : str, optional
        For messages.

    Returns
    -------
    CardiacPhases
        Warned of, where end-diastole is far from the first frame, the curve is flat or noisy, or
        frames have no left ventricle.

    Raises
    ------
    UsageError
        If there are fewer than 5 frames, or more than a quarter of them have no left ventricle.

    Examples
    --------
    >>> found = find_phases([150, 140, 110, 80, 60, 65, 90, 120, 140, 148])
    >>> found.ed, found.es
    (0, 4)
    """
    volumes = np.asarray(volumes_ml, dtype=float)
    if volumes.ndim != 1 or volumes.size < MIN_FRAMES:
        msg = f"There are {volumes.size} frames, expected a curve of at least {MIN_FRAMES}."
        raise UsageError(msg, case=case, hint="Give the LV volume of each frame of one cardiac cycle.")
    there = np.isfinite(volumes) & (volumes > 0)
    absent = int((~there).sum())
    if absent > MAX_ABSENT * volumes.size:
        msg = f"{absent} of {volumes.size} frames have no left ventricle, expected at most {MAX_ABSENT:.0%}."
        raise UsageError(msg, case=case, hint="Check that this is a short-axis cine, and its masks.")
    frames = np.arange(volumes.size)
    whole = np.interp(frames, frames[there], volumes[there], period=volumes.size)
    smooth = sum(w * np.roll(whole, shift) for w, shift in zip(_KERNEL, (-1, 0, 1), strict=True))
    ed, es = (_extreme(sign * whole, sign * np.asarray(smooth), there) for sign in (1, -1))
    messages = [*_doubts(whole, np.asarray(smooth), ed), *([_absent(absent, volumes.size)] if absent else [])]
    issues = tuple(Issue("W_PHASE", m, case, "cine", "Look at the frames that were chosen.") for m in messages)
    return CardiacPhases(ed, es, np.asarray(smooth), issues)


def _extreme(whole: FloatArray, smooth: FloatArray, there: NDArray[np.bool_]) -> int:
    """Return the frame with the largest volume at, before or after the top of the smooth curve."""
    top = int(np.argmax(np.where(there, smooth, -np.inf)))
    near = [n % whole.size for n in (top, top - 1, top + 1) if there[n % whole.size]]
    return max(near, key=lambda n: float(whole[n]))


def _doubts(whole: FloatArray, smooth: FloatArray, ed: int) -> list[str]:
    n, span = smooth.size, float(np.ptp(smooth))
    messages = []
    away = min(ed, n - ed)
    if away > NEAR_FIRST * n:
        messages.append(f"End-diastole is frame {ed + 1} of {n}, expected it near the first frame of the cycle.")
    if span < LEAST_EJECTION * smooth.max():
        messages.append(f"The LV volume changes by {span / smooth.max():.0%} only over the cycle.")
    noise = float(np.std(whole - smooth))
    if n >= _FRAMES_TO_JUDGE_NOISE and noise > MOST_NOISE * span:
        messages.append(f"The LV volume scatters by {noise:.1f} mL about its curve, whose range is {span:.1f} mL.")
    return messages


def _absent(absent: int, n: int) -> str:
    return f"{absent} of {n} frames have no left ventricle; they are bridged."
