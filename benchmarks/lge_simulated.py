"""Scar of simulated hearts, whose mass and depth are known: what each method makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from emidec_measures import METHODS, bias, bootstrap, median, settings

from radiocard.cardiac.scar import measure_lge, measure_scar_mask
from radiocard.cardiac.scar_dictionary import SCAR
from radiocard.simulate.lge import simulate_lge
from radiocard.simulate.scars import ScarParameters
from radiocard.specs import read_spec

SCARS = tuple(
    ScarParameters("subendocardial", centre_deg=centre, width_deg=width, transmurality=depth, no_reflow=dark)
    for centre in (120.0, 240.0, 350.0)
    for width, depth, dark in ((60.0, 0.3, 0.0), (80.0, 0.6, 0.0), (110.0, 0.9, 0.5))
) + tuple(
    ScarParameters("mid_wall", centre_deg=centre, width_deg=100.0, transmurality=0.4) for centre in (120.0, 240.0)
)
N_NORMAL = 8
SIMULATED = {name: settings(*METHODS[name]) for name in ("5 SD", "Otsu", "mixture")} | {
    "FWHM": settings("fwhm", 5.0),
    "FWHM, one threshold per stack": settings("fwhm", 5.0, scope="stack"),
}


def simulated_figures() -> dict[str, Any]:
    """Measure every simulated heart, from its true mask and by every method."""
    cardiac = read_spec("cine_sax").cardiac
    hearts = [simulate_lge(scar, seed=seed) for seed, scar in enumerate(SCARS)]
    normal = [simulate_lge(ScarParameters("none"), seed=100 + seed) for seed in range(N_NORMAL)]
    found = {"true mask": [measure_scar_mask(h.scar, h.mask, cardiac, no_reflow=h.no_reflow).values for h in hearts]}
    healthy: dict[str, list[float]] = {}
    for name, chosen in SIMULATED.items():
        found[name] = [measure_lge(h.image, h.mask, chosen, cardiac).values for h in hearts]
        healthy[name] = [float(measure_lge(h.image, h.mask, chosen, cardiac).values["scar_pct"] or 0) for h in normal]
    depths = [c for c in SCAR if c.startswith("transmurality_aha")]
    out: dict[str, Any] = {"n_scarred": len(hearts), "n_normal": len(normal), "methods": {}}
    for name, values in found.items():
        pairs = list(zip(values, hearts, strict=True))
        mass = np.array([[v["scar_mass_g"] or 0.0, h.truth["scar_mass_g"]] for v, h in pairs])
        known = [[c for c in depths if v[c] is not None] for v, _ in pairs]
        depth = np.array([[_mean(v, cs), _mean(h.truth, cs)] for (v, h), cs in zip(pairs, known, strict=True)])
        relative = 100 * (mass[:, 0] - mass[:, 1]) / mass[:, 1]
        out["methods"][name] = {
            "scar_mass_bias_g": bootstrap(mass, bias).to_dict(),
            "scar_mass_error_pct": bootstrap(relative, median).to_dict(),
            "transmurality_bias_points": bootstrap(depth, bias).to_dict(),
            "normal_scar_pct_largest": max(healthy[name]) if name in healthy else None,
        }
    return out


def _mean(values: Mapping[str, float | None], columns: list[str]) -> float:
    return float(np.mean([values[c] for c in columns]))
