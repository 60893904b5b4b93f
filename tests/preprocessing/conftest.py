import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radiocard.image import Image

REQUIRED = os.environ.get("RADIOCARD_REQUIRE") == "all"
LPS = np.diag([-1.0, -1.0, 1.0])


@pytest.fixture(scope="session")
def pyradiomics() -> Any:
    """PyRadiomics' image operations, or a skip."""
    if find_spec("radiomics") is None:
        (pytest.fail if REQUIRED else pytest.skip)("parity: not run (PyRadiomics is not installed)")
    import_module("radiomics").setVerbosity(50)
    return import_module("radiomics.imageoperations")


@pytest.fixture(scope="session")
def to_itk() -> Any:
    """Function from an Image to the SimpleITK image that PyRadiomics would read."""

    def convert(image: Image) -> Any:
        sitk = import_module("SimpleITK")
        volume = sitk.GetImageFromArray(np.ascontiguousarray(image.array.transpose(2, 1, 0)))
        volume.SetSpacing(image.spacing_mm)
        volume.SetOrigin((LPS @ image.affine[:3, 3]).tolist())
        volume.SetDirection((LPS @ (image.affine[:3, :3] / np.array(image.spacing_mm))).ravel().tolist())
        return volume

    return convert


@pytest.fixture(scope="session")
def from_itk() -> Any:
    """Function from a SimpleITK image to an array (i, j, k)."""
    return lambda volume: import_module("SimpleITK").GetArrayFromImage(volume).transpose(2, 1, 0)


@pytest.fixture(scope="session")
def ct_phantom() -> tuple[Image, Any, Path]:
    """Image, mask and reference folder of the IBSI CT phantom, or a skip."""
    folder = os.environ.get("RADIOCARD_IBSI")
    if not folder:
        pytest.skip("IBSI CT phantom: not run (RADIOCARD_IBSI is not set)")
    nib = import_module("nibabel")
    image, mask = (nib.load(Path(folder) / "ct_phantom" / f"{name}.nii.gz") for name in ("image", "mask"))
    return Image(np.asarray(image.dataobj, dtype=float), image.affine), np.asarray(mask.dataobj) > 0, Path(folder)
