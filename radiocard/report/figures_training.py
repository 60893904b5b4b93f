"""Learning curves of the networks of an ensemble."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from radiocard.report.figures import CLASS_COLOURS, drawing, short


class Curve(NamedTuple):
    """How one network learned.

    Parameters
    ----------
    loss, dice : sequence of float
        After each epoch: mean loss of the training slices, mean Dice of the validation patients.
    best : int
        The epoch whose weights were kept, from 1.
    """

    loss: Sequence[float]
    dice: Sequence[float]
    best: int


def learning_curves_png(curves: Mapping[str, Curve]) -> bytes:
    """Draw loss and validation Dice over the epochs, one line per network; a dot marks the weights that were kept.

    Parameters
    ----------
    curves : mapping of str to Curve
        By name of the network.

    Returns
    -------
    bytes
        PNG without metadata.
    """
    with drawing(6.4, 2.6) as figure:
        loss, dice = figure.subplots(1, 2)
        for axes, title in ((loss, "Training loss"), (dice, "Validation Dice")):
            for n, (name, curve) in enumerate(curves.items()):
                values, colour = curve.loss if axes is loss else curve.dice, CLASS_COLOURS[n % len(CLASS_COLOURS)]
                axes.plot(range(1, len(values) + 1), values, color=colour, linewidth=1.2, label=short(name))
                axes.plot(curve.best, values[curve.best - 1], "o", color=colour, markersize=4)
            axes.set_title(title)
            axes.set_xlabel("epoch")
            axes.locator_params(axis="x", integer=True)
        dice.legend(frameon=False, fontsize=7)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    return buffer.getvalue()
