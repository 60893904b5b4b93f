"""Settings of a feature specification that cannot work together, or that nothing would read."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from radiocard.image import LGE, PHASES, REGIONS
from radiocard.specs.filters import PyradiomicsLbp2D, PyradiomicsWavelet, WaveletFilter

if TYPE_CHECKING:
    from radiocard.specs.features import FeatureSpec
    from radiocard.specs.filters import Filter

MAX_PATTERN_SAMPLES = 24  # binary digits of a local binary pattern


def contradictions(spec: FeatureSpec) -> Iterator[str]:
    """Find what is valid by itself but not in one specification, or not in this place.

    Parameters
    ----------
    spec : FeatureSpec
        A specification, each part of which is valid.

    Yields
    ------
    str
        The setting, a colon, what is wrong and what to do.
    """
    yield from _of_sequence(spec)
    yield from _of_ivh(spec)
    yield from _of_resampling(spec)
    own = spec.resegmentation
    if own is not None and own.range is None and own.outliers_sd is None:
        yield "resegmentation: it has neither range nor outliers_sd; leave the section out"
    for number, used in enumerate(spec.filters):
        yield from (f"filters.{number}.{what}" for what in _of_filter(used))


def is_wavelet(name: str) -> bool:
    """Return whether PyWavelets knows a discrete wavelet of that name."""
    return name in import_module("pywt").wavelist(kind="discrete")


def _of_sequence(spec: FeatureSpec) -> Iterator[str]:
    if spec.sequence != "cine":
        yield from _of_still(spec)
        yield from _of_lge(spec) if spec.sequence == LGE else _of_maps(spec)
        return
    for name, found, needed in (("phases", spec.phases, PHASES), ("regions", spec.regions, REGIONS)):
        if not set(needed) <= set(found):
            yield f"{name}: the cardiac measurements need {', '.join(needed)}"
    if spec.checks.physiology is None:
        yield "checks.physiology: a cine study needs this section"
    for name, section in (("maps", spec.maps), ("scar", spec.scar)):
        if section is not None:
            yield f"{name}: nothing reads this section with sequence cine; leave it out"


def _of_still(spec: FeatureSpec) -> Iterator[str]:
    if spec.phases:
        yield f"phases: {spec.sequence} is taken once and has no phase; leave them out"
    if "lv_myocardium" not in spec.regions:
        yield f"regions: {spec.sequence} needs lv_myocardium"
    if spec.checks.physiology is not None:
        yield f"checks.physiology: nothing reads this section with sequence {spec.sequence}; leave it out"


def _of_lge(spec: FeatureSpec) -> Iterator[str]:
    if spec.scar is None:
        yield "scar: sequence lge needs this section"
    if spec.maps is not None:
        yield "maps: nothing reads this section with sequence lge; leave it out"


def _of_maps(spec: FeatureSpec) -> Iterator[str]:
    if spec.scar is not None:
        yield f"scar: nothing reads this section with sequence {spec.sequence}; leave it out"
    if spec.maps is None:
        yield f"maps: sequence {spec.sequence} needs this section"
    elif spec.sequence not in spec.maps.sequences:
        yield f"maps.sequences: {spec.sequence} is not among them"


def _of_ivh(spec: FeatureSpec) -> Iterator[str]:
    if spec.ivh is None:
        if "ivh" in spec.families:
            yield "families: ivh needs the section ivh, for example {method: fbn, bins: 1000}"
        return
    if "ivh" not in spec.families:
        yield "ivh: nothing reads this section; add ivh to families, or leave the section out"
    if spec.ivh.method == "none":
        whole = "ivh.method: none takes grey values as levels, which must be whole numbers:"
        if spec.normalisation.method != "none":
            yield f"{whole} use fbs or fbn with normalisation {spec.normalisation.method}"
        filtered = [used.kind for used in spec.filters if used.kind != "original"]
        if filtered:
            yield f"{whole} use fbs or fbn with the filters {', '.join(filtered)}"


def _of_resampling(spec: FeatureSpec) -> Iterator[str]:
    own = spec.resampling
    if own is None:
        return
    if spec.convention == "ibsi" and own.pad_distance is not None:
        yield "resampling.pad_distance: convention ibsi resamples the whole image; leave it out"
    if spec.convention == "pyradiomics" and own.mask_interpolation != "nearest":
        yield f"resampling.mask_interpolation: convention pyradiomics has nearest only, not {own.mask_interpolation}"
    if own.round_grey and spec.normalisation.method != "none":
        yield (
            f"resampling.round_grey: true would round what normalisation {spec.normalisation.method} gives to "
            "whole numbers; use false"
        )


def _of_filter(used: Filter) -> Iterator[str]:
    if isinstance(used, WaveletFilter | PyradiomicsWavelet) and not is_wavelet(used.wavelet):
        yield f"wavelet: PyWavelets has no discrete wavelet {used.wavelet!r}"
    if isinstance(used, PyradiomicsLbp2D) and used.method in {"default", "ror"} and used.samples > MAX_PATTERN_SAMPLES:
        yield f"samples: {used.samples}, expected at most {MAX_PATTERN_SAMPLES} with method {used.method}"
