import json
import os
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radiocard.features.region import Region
from radiocard.specs import FeatureSpec, parse_as, read_spec

PHANTOM = Path(__file__).parents[1] / "conformance" / "data" / "ibsi_digital_phantom.json"


@pytest.fixture(scope="session")
def make_spec() -> Callable[..., FeatureSpec]:
    def make(name: str, **settings: Any) -> FeatureSpec:
        data = read_spec(name).model_dump(mode="python", by_alias=True)
        return parse_as(FeatureSpec, data | settings, "test")

    return make


@pytest.fixture(scope="session")
def make_region() -> Callable[..., Region]:
    """A region that fills its image; the grey values are all 1 unless given."""

    def make(mask, spacing=(1.3, 0.7, 2.1), *, raw=None, values=None, intensity_mask=None):
        raw = np.ones(mask.shape) if raw is None else raw
        values = raw if values is None else values
        intensity_mask = mask if intensity_mask is None else intensity_mask
        return Region(mask, intensity_mask, np.flatnonzero(intensity_mask), raw, values, spacing, values, (0, 0, 0))

    return make


@pytest.fixture(scope="session")
def digital_phantom() -> Region:
    data = json.loads(PHANTOM.read_text(encoding="utf-8"))
    values, mask = np.array(data["image"], dtype=float), np.array(data["mask"]) == 1
    assert all(mask.any(axis=tuple({0, 1, 2} - {axis})).all() for axis in range(3))  # no need to crop
    return Region(mask, mask, np.flatnonzero(mask), values, values, tuple(data["spacing_mm"]), values, (0, 0, 0))


@pytest.fixture(scope="session")
def run_pyradiomics() -> Callable[..., dict[str, float]]:
    """All features of one class of PyRadiomics 3, also the deprecated ones that it still computes."""
    if find_spec("radiomics") is None:
        required = os.environ.get("RADIOCARD_REQUIRE") == "all"
        (pytest.fail if required else pytest.skip)("parity: not run (PyRadiomics is not installed)")
    sitk = import_module("SimpleITK")
    import_module("radiomics").setVerbosity(50)

    def to_itk(array, spacing):
        image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0)))
        image.SetSpacing(spacing)
        return image

    def run(module, name, region, **settings):
        image, mask = to_itk(region.values, region.spacing), to_itk(region.mask.astype(np.uint8), region.spacing)
        calculator = getattr(import_module(f"radiomics.{module}"), name)(image, mask, **settings)
        for feature in calculator.getFeatureNames():
            calculator.enableFeatureByName(feature)
        return {feature: float(np.real(value)) for feature, value in calculator.execute().items()}

    return run


@pytest.fixture(scope="session")
def slow_size_features() -> Callable[..., list[float]]:
    """The 17 features of items with a grey level, a size and a weight, item by item."""

    def compute(items, *, voxels):
        items = [item for item in items if item[2] > 0]
        grey, size, weight = np.array(items, dtype=float).T
        p = weight / weight.sum()

        def summed(*keys):
            found = {}
            for key, w in zip(zip(*keys, strict=True), weight, strict=True):
                found[key] = found.get(key, 0) + w
            return np.array(list(found.values()))

        def uneven(x):
            squares = (summed(x) ** 2).sum()
            return [squares / weight.sum(), squares / weight.sum() ** 2]

        def variance(x):
            return np.sum(p * (x - np.sum(p * x)) ** 2)

        emphasis = [size**-2.0, size**2, grey**-2.0, grey**2]
        emphasis += [(size * grey) ** -2.0, grey**2 / size**2, size**2 / grey**2, (size * grey) ** 2]
        cells = summed(grey, size) / weight.sum()
        return [
            *(np.sum(p * e) for e in emphasis),
            *uneven(grey),
            *uneven(size),
            weight.sum() / voxels,
            variance(grey),
            variance(size),
            -np.sum(cells * np.log2(cells)),
            np.sum(cells**2),
        ]

    return compute
