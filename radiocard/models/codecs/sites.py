"""Codecs of the steps that know sites: ComBat, and standardisation of each site by itself.

Sites are stored in the order of their codes, one row each; notes are text, and stand in the document.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from radiocard.models.codecs.arrays import Array, ArrayReader
from radiocard.models.harmonise import SOURCES, Combat, SiteEffect
from radiocard.models.sites import SiteScaler

TINY = 1e-150
MAX_SITES = 10_000


def combat_arrays(step: Combat) -> Mapping[str, Array]:
    """Return the effects of all sites and what features are standardised by."""
    effects = [step.effects_[code] for code in sorted(step.effects_)]
    out = {
        name: np.array([getattr(e, name) for e in effects], "<f8") for name in ("shift", "scale", "centre", "spread")
    }
    out |= {
        "codes": np.array(sorted(step.effects_), "<f8"),
        "n": np.array([e.n for e in effects], "<i8"),
        "source": np.array([SOURCES.index(e.source) for e in effects], "<i8"),
        "grand_mean": np.asarray(step.grand_mean_, "<f8"),
        "within": np.asarray(step.spread_, "<f8"),
        "varies": step.varies_.astype("|u1"),
    }
    if step.slopes_.size:
        out["slopes"] = np.asarray(step.slopes_, "<f8")
    if step.normal is not None:
        out |= {"normal_mean": np.asarray(step.normal_mean_, "<f8"), "normal_sd": np.asarray(step.normal_sd_, "<f8")}
    return out


def restore_combat(step: Combat, arrays: ArrayReader, n_features: int, n_classes: int) -> int:
    """Fill a :class:`Combat`."""
    taken = len(step.covariate_columns) + (step.site_column is not None)
    p = n_features - taken
    codes = _codes(arrays)
    shape = (len(codes), p)
    shift, centre = (arrays.floats(name, shape) for name in ("shift", "centre"))
    scale, spread = (arrays.floats(name, shape, low=TINY) for name in ("scale", "spread"))
    n = arrays.ints("n", (len(codes),), low=1, high=2**40)
    source = arrays.ints("source", (len(codes),), low=0, high=len(SOURCES) - 1)
    step.effects_ = {
        code: SiteEffect(shift[i], scale[i], centre[i], spread[i], int(n[i]), SOURCES[int(source[i])])
        for i, code in enumerate(codes.tolist())
    }
    step.grand_mean_ = arrays.floats("grand_mean", (p,))
    step.spread_ = arrays.floats("within", (p,), low=TINY)
    step.varies_ = arrays.flags("varies", (p,))
    q = len(step.covariate_columns)
    step.slopes_ = arrays.floats("slopes", (q, p)) if q else np.zeros((0, p))
    if step.normal is not None:
        step.normal_mean_ = arrays.floats("normal_mean", (p,))
        step.normal_sd_ = arrays.floats("normal_sd", (p,), low=TINY)
    step.notes_ = ()
    step.n_features_in_ = n_features
    return n_features - (step.site_column is not None)


def scaler_arrays(step: SiteScaler) -> Mapping[str, Array]:
    """Return centre and spread of every site."""
    codes = sorted(step.centre_)
    return {
        "codes": np.array(codes, "<f8"),
        "centre": np.array([step.centre_[c] for c in codes], "<f8"),
        "spread": np.array([step.spread_[c] for c in codes], "<f8"),
    }


def restore_scaler(step: SiteScaler, arrays: ArrayReader, n_features: int, n_classes: int) -> int:
    """Fill a :class:`SiteScaler`."""
    p = n_features - (step.site_column is not None)
    codes = _codes(arrays)
    centre = arrays.floats("centre", (len(codes), p))
    spread = arrays.floats("spread", (len(codes), p), low=TINY)
    step.centre_ = dict(zip(codes.tolist(), centre, strict=True))
    step.spread_ = dict(zip(codes.tolist(), spread, strict=True))
    step.notes_ = ()
    step.n_features_in_ = n_features
    return p


def _codes(arrays: ArrayReader) -> Array:
    codes = arrays.floats("codes", (None,), low=0.0, high=float(MAX_SITES))
    if (np.diff(codes) <= 0).any():
        arrays.refuse("the codes of the sites do not rise")
    return codes
