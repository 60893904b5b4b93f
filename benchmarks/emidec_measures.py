"""EMIDEC patients, and what each scar method finds in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image as Picture

from radiocard.cardiac.scar_find import Scar, find_scar
from radiocard.cardiac.scar_regions import wall_interior
from radiocard.evaluation.intervals import Estimate, percentile
from radiocard.features.extract import extract_region
from radiocard.image import Image, LabelMap
from radiocard.specs import FeatureSpec, read_spec
from radiocard.specs.lge import ScarSettings

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

N_BOOTSTRAP = 2000
NOMINAL = np.diag([1.5, 1.5, 10.0, 1.0])  # spacing is lost; only the slice axis matters here
METHODS: Mapping[str, tuple[str, float]] = {
    "2 SD": ("n_sd", 2.0),
    "3 SD": ("n_sd", 3.0),
    "5 SD": ("n_sd", 5.0),
    "6 SD": ("n_sd", 6.0),
    "Otsu": ("otsu", 5.0),
    "mixture": ("gmm", 5.0),
}


@dataclass(frozen=True)
class Patient:
    """One stack; ``drawn`` holds the reader's labels: 1 cavity, 2 healthy, 3 infarct, 4 no-reflow."""

    name: str
    image: Image
    mask: LabelMap
    drawn: NDArray[np.uint8]

    @property
    def infarct(self) -> bool:
        """Whether the file name says infarct (P) and not normal (N)."""
        return self.name.startswith("P")

    @property
    def wall(self) -> BoolArray:
        """Myocardium, scar included."""
        return self.drawn >= 2

    @property
    def scar(self) -> BoolArray:
        """Infarct and no-reflow as drawn."""
        return self.drawn >= 3


def read_patients(folder: Path) -> list[Patient]:
    """Read all stacks; scar is merged into the myocardium of the mask."""

    def stack(kind: str, name: str) -> NDArray[np.uint8]:
        files = sorted((folder / kind).glob(f"Case_{name}_slice*.png"))
        return np.stack([np.asarray(Picture.open(f)) for f in files], axis=-1)

    out = []
    for name in sorted({p.name.split("_")[1] for p in (folder / "masks").glob("Case_*.png")}):
        drawn = stack("masks", name)
        mask = LabelMap(np.minimum(drawn, 2), NOMINAL, labels={"lv_cavity": 1, "lv_myocardium": 2})
        out.append(Patient(name, Image(stack("images", name), NOMINAL), mask, drawn))
    return out


def settings(method: str, n_sd: float, *, scope: Literal["stack", "slice"] = "slice") -> ScarSettings:
    """Return the settings; EMIDEC needs a threshold per slice, since its slices are scaled one by one."""
    return ScarSettings(
        method=method,
        n_sd=n_sd,
        grey_zone_n_sd=2.0,
        edge_pixels=1,
        remote_width_deg=60.0,
        scope=scope,
        include_no_reflow=True,
        entropy={"method": "fbn", "bins": 64, "max_bins": 256},
    )


def healthy_as_drawn(patient: Patient) -> BoolArray:
    """Return the reader's healthy myocardium in the interior of the wall, whole where that is too small."""
    healthy = patient.drawn == 2
    inner = healthy & wall_interior(patient.wall, edge_pixels=1)
    small = inner.sum(axis=(0, 1)) < 10
    inner[:, :, small] = healthy[:, :, small]
    return inner


def find(patient: Patient, method: str, *, oracle: bool) -> Scar:
    """Find scar in one patient; the oracle knows which myocardium the reader left healthy."""
    remote = healthy_as_drawn(patient) if oracle else None
    return find_scar(patient.image, patient.mask, settings(*METHODS[method]), remote=remote)


def dice(found: BoolArray, drawn: BoolArray) -> float:
    """Return the overlap of two regions of which the second is not empty."""
    return float(2.0 * (found & drawn).sum() / (found.sum() + drawn.sum()))


def share_pct(region: BoolArray, patient: Patient) -> float:
    """Return the share of the myocardium."""
    return float(100.0 * region.sum() / patient.wall.sum())


def bootstrap(values: FloatArray, statistic: Callable[[FloatArray], float]) -> Estimate:
    """Return a statistic over patients (rows) with its 95 % percentile interval."""
    rng = np.random.default_rng(0)
    rows = rng.integers(len(values), size=(N_BOOTSTRAP, len(values)))
    draws = np.array([statistic(values[r]) for r in rows])
    return percentile(statistic(values), draws, n=len(values))


def median(values: FloatArray) -> float:
    """Return the median."""
    return float(np.median(values))


def bias(values: FloatArray) -> float:
    """Return the mean difference; columns are found and drawn."""
    return float((values[:, 0] - values[:, 1]).mean())


def limit(sign: float) -> Callable[[FloatArray], float]:
    """Return a limit of agreement: bias plus or minus 1.96 standard deviations of the difference."""
    return lambda values: bias(values) + sign * 1.96 * float((values[:, 0] - values[:, 1]).std(ddof=1))


def correlation(values: FloatArray) -> float:
    """Return Pearson's correlation of two columns."""
    return float(np.corrcoef(values.T)[0, 1])


def whole_wall_spec() -> FeatureSpec:
    """Return the specification of the whole-myocardium features: 2D families, 32 grey levels."""
    given = read_spec("cine_sax").model_dump(by_alias=True)
    changed = {
        "name": "lge_whole_wall",
        "normalisation": {"method": "none", "within": "labelled"},
        "families": ["intensity", "histogram", "glcm", "glrlm", "glszm", "ngtdm"],
    }
    return FeatureSpec.model_validate(given | changed)


def whole_wall_features(patients: list[Patient]) -> pd.DataFrame:
    """Describe the whole myocardium of each patient; slices are z-scored over cavity and myocardium.

    The reader's infarct does not enter: the mask merges healthy myocardium, infarct and no-reflow.
    """
    spec = whole_wall_spec()
    rows: dict[str, Any] = {}
    for patient in patients:
        values = patient.image.array.astype(float)
        for k in range(values.shape[2]):
            inside = values[:, :, k][patient.mask.array[:, :, k] > 0]
            values[:, :, k] = (values[:, :, k] - inside.mean()) / inside.std()
        rows[patient.name] = extract_region(Image(values, NOMINAL), patient.mask.mask("lv_myocardium"), spec)
    return pd.DataFrame.from_dict(rows, orient="index").astype(float)
