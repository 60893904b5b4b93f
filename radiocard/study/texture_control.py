"""Texture without a texture: shuffled voxels and noise in the same regions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

import pandas as pd
from joblib import Parallel, delayed

from radiocard.cohort.row import measure_case, texture_case
from radiocard.features.extract import extract_case_texture
from radiocard.image import Case
from radiocard.io.case_ref import CaseRef
from radiocard.preprocessing.perturb_values import fill_regions, patient_rng, shuffle_regions
from radiocard.specs import FeatureSpec

Control = Literal["shuffled", "noise"]
Values = dict[str, float | None]

CONTROLS: Final[tuple[Control, ...]] = ("shuffled", "noise")
NOISE_MEAN, NOISE_SD = 1000.0, 100.0  # the same for all patients; positive, as maps are


def control_case(case: Case, control: Control, *, spec: FeatureSpec) -> Case:
    """Take the texture out of one case and leave its regions.

    Parameters
    ----------
    case : Case
        With the masks that texture is described in.
    control : {'shuffled', 'noise'}
        Shuffle the grey values of each region among its voxels, or fill the regions with noise that is
        the same in distribution for all patients.
    spec : FeatureSpec
        Says which images.

    Returns
    -------
    Case
        The same for the same identifier, every time.
    """
    images = dict(case.images)
    for key in spec.keys:
        if key not in case.masks or key not in images:
            continue
        rng, mask = patient_rng(case.patient_id, control, *key), case.masks[key]
        if control == "shuffled":
            images[key] = shuffle_regions(images[key], mask, rng=rng)
        else:
            images[key] = fill_regions(images[key], mask, mean=NOISE_MEAN, sd=NOISE_SD, rng=rng)
    return Case(case.patient_id, images, case.masks, case.clinical, case.simulated)


def control_tables(
    refs: Sequence[CaseRef], spec: FeatureSpec, *, jobs: int, progress: Callable[..., None]
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Describe the texture of every control of every case; volumes of the regions [mL] beside them."""
    rows: dict[str, dict[str, Values]] = {name: {} for name in (*CONTROLS, "volumes")}
    calls = (delayed(_control_row)(ref, spec) for ref in refs)
    for ref, found in zip(refs, Parallel(n_jobs=jobs, return_as="generator")(calls), strict=True):
        for name, values in found.items():
            rows[name][ref.patient_id] = values
        progress()
    frames = {name: pd.DataFrame.from_dict(by, orient="index").astype(float) for name, by in rows.items()}
    return {name: frames[name] for name in CONTROLS}, frames["volumes"]


def _control_row(ref: CaseRef, spec: FeatureSpec) -> dict[str, Values]:
    case = ref.load()
    case = texture_case(case, spec, measure_case(case, spec))
    out: dict[str, Values] = {}
    for name in CONTROLS:
        out[name] = extract_case_texture(control_case(case, name, spec=spec), spec)[0]
    volumes: Values = {}
    for key in spec.keys:
        mask = case.masks.get(key)
        for region in spec.regions if mask is not None else ():
            if mask is not None and region in mask.labels:
                n = float((mask.array == mask.labels[region]).sum())
                volumes[f"{region}__{'_'.join(filter(None, key))}"] = n * mask.voxel_volume_ml
    return {**out, "volumes": volumes}
