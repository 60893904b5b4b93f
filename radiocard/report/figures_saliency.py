"""Picture of where an image classifier looked."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.report.figures import MUTED, drawing, short

FloatArray = NDArray[np.floating[Any]]
_INCH = 1.5


def saliency_png(
    grey: Sequence[FloatArray], maps: Sequence[tuple[str, Sequence[FloatArray]]], *, aspect: float, caption: str
) -> bytes:
    """Draw slices, and each map over them: warm speaks for the class, cold against it.

    Parameters
    ----------
    grey : sequence of ndarray of float, shape (height, width)
        Slices as they are shown.
    maps : sequence of (str, sequence of ndarray)
        Name, and one plane per slice; 0 speaks neither for nor against.
    aspect : float
        Height of a pixel over its width.
    caption : str

    Returns
    -------
    bytes
        PNG without metadata.
    """
    rows = 1 + len(maps)
    low, high = np.percentile(np.concatenate([np.ravel(plane) for plane in grey]), [1, 99])
    with drawing(_INCH * len(grey) + 0.5, _INCH * rows + 0.5) as figure:
        axes = figure.subplots(rows, len(grey), squeeze=False)
        for k, plane in enumerate(grey):
            for axis in axes[:, k]:
                axis.imshow(plane, cmap="gray", vmin=low, vmax=high, aspect=aspect)
                axis.set_xticks([])
                axis.set_yticks([])
        for row, (_, planes) in enumerate(maps, start=1):
            most = max(float(np.abs(plane).max()) for plane in planes) or 1.0
            for k, plane in enumerate(planes):
                alpha = 0.6 * np.abs(plane) / most
                axes[row, k].imshow(plane, cmap="coolwarm", vmin=-most, vmax=most, alpha=alpha, aspect=aspect)
        for row, name in enumerate(["End-diastole", *(name for name, _ in maps)]):
            axes[row, 0].set_ylabel(short(name))
        figure.supxlabel(caption, color=MUTED, fontsize=7)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()
