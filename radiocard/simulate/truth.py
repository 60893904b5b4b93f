"""The measurements of a simulated heart, from its own surfaces; nothing here reads a mask."""

from __future__ import annotations

import numpy as np

from radiocard.simulate.heart import N_CAVITY, THETA, Float, PhaseShape

DENSITY_G_ML = 1.05


def heart_truth(ed: PhaseShape, es: PhaseShape, bsa_m2: float) -> dict[str, float]:
    """Return the known truth under the names of the clinical columns.

    Parameters
    ----------
    ed, es : PhaseShape
        Surfaces of the two phases.
    bsa_m2 : float
        Body surface area [m2].

    Returns
    -------
    dict of str to float
        Volumes [mL], ejection fractions [%], mass [g], indices per m2, in-plane wall thickness [mm] of
        the AHA segments 1 to 16 (thirds of the cavity length, sectors from the right ventricular
        insertions) and thickening [%].
    """
    out = _function(ed, es)
    for name in ("lvedv", "lvesv", "lvsv", "rvedv", "rvesv", "rvsv"):
        out[f"{name}i_ml_m2"] = out[f"{name}_ml"] / bsa_m2
    out["lvmi_g_m2"] = out["lvm_g"] / bsa_m2
    out["bsa_m2"] = bsa_m2
    out["mass_volume_ratio_g_ml"] = out["lvm_g"] / out["lvedv_ml"]
    thickness = {"ed": segment_thickness(ed), "es": segment_thickness(es)}
    for phase, values in thickness.items():
        out |= {f"wt_aha_{n:02d}_{phase}_mm": float(v) for n, v in enumerate(values, start=1)}
        out[f"mwt_max_{phase}_mm"] = float(values.max())
        out[f"mwt_mean_{phase}_mm"] = float(values.mean())
        out[f"mwt_sd_{phase}_mm"] = float(values.std(ddof=1))
    out["mwt_max_mm"] = out.pop("mwt_max_ed_mm")
    thickening = 100 * (thickness["es"] / thickness["ed"] - 1)
    out |= {f"thickening_aha_{n:02d}_pct": float(v) for n, v in enumerate(thickening, start=1)}
    out["thickening_mean_pct"] = float(thickening.mean())
    out["thickening_min_pct"] = float(thickening.min())
    return out


def segment_thickness(shape: PhaseShape) -> Float:
    """Return the mean in-plane wall thickness of the AHA segments 1 to 16, shape (16,) [mm].

    Notes
    -----
    Segments 1 and 2 meet at the anterior right ventricular insertion (120 degree), segments 3 and 4
    at the inferior one (240 degree). Cerqueira et al., Circulation 105 (2002) 539,
    doi:10.1161/hc0402.102975.
    """
    wall = (shape.epi_mm - shape.endo_mm)[:N_CAVITY]
    third = N_CAVITY // 3
    six = ((THETA - 60.0) // 60.0).astype(int) % 6
    four = ((THETA - 45.0) // 90.0).astype(int) % 4
    basal = [wall[:third, six == n].mean() for n in range(6)]
    mid = [wall[third : 2 * third, six == n].mean() for n in range(6)]
    apical = [wall[2 * third :, four == n].mean() for n in range(4)]
    return np.array(basal + mid + apical)


def _function(ed: PhaseShape, es: PhaseShape) -> dict[str, float]:
    out: dict[str, float] = {}
    for side in ("lv", "rv"):
        edv, esv = (s.lv_ml() if side == "lv" else s.rv_ml() for s in (ed, es))
        out |= {f"{side}edv_ml": edv, f"{side}esv_ml": esv, f"{side}sv_ml": edv - esv}
        out[f"{side}ef_pct"] = 100 * (edv - esv) / edv
    out["lvm_g"] = DENSITY_G_ML * ed.myocardium_ml()
    out["lvm_es_g"] = DENSITY_G_ML * es.myocardium_ml()
    out["lv_rv_edv_ratio"] = out["lvedv_ml"] / out["rvedv_ml"]
    out["lv_rv_esv_ratio"] = out["lvesv_ml"] / out["rvesv_ml"]
    return out
