import io

import matplotlib.image
import numpy as np
from matplotlib.axes import Axes

from radiocard.report.figures_training import Curve, learning_curves_png


def test_each_network_has_a_line_per_panel_and_a_dot_at_the_weights_that_were_kept(monkeypatch):
    drawn = []
    plot = Axes.plot
    monkeypatch.setattr(Axes, "plot", lambda self, *a, **k: drawn.append((a, k.get("label"))) or plot(self, *a, **k))
    curves = {"fold-1": Curve([0.9, 0.5, 0.4], [0.3, 0.7, 0.6], 2), "fold-2": Curve([0.8], [0.4], 1)}
    image = matplotlib.image.imread(io.BytesIO(learning_curves_png(curves)), format="png")
    assert np.ptp(image[..., :3]) > 0.5
    lines = [(list(a[0]), list(a[1])) for a, label in drawn if label]
    dots = [(a[0], a[1]) for a, label in drawn if not label]
    assert lines == [
        ([1, 2, 3], [0.9, 0.5, 0.4]),
        ([1], [0.8]),
        ([1, 2, 3], [0.3, 0.7, 0.6]),
        ([1], [0.4]),
    ]
    assert dots == [(2, 0.5), (1, 0.8), (2, 0.7), (1, 0.4)]
