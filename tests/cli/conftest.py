import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

PHANTOM = Path(__file__).parents[1] / "conformance" / "data" / "ibsi_digital_phantom.json"


@pytest.fixture
def ibsi_folder(tmp_path):
    """Folder with the digital phantom of the IBSI."""
    data = json.loads(PHANTOM.read_text(encoding="utf-8"))
    folder = tmp_path / "ibsi" / "digital_phantom"
    folder.mkdir(parents=True)
    for key in ("image", "mask"):
        image = nib.Nifti1Image(np.array(data[key], dtype=np.int16), np.diag([*data["spacing_mm"], 1.0]))
        nib.save(image, folder / f"{key}.nii.gz")
    return folder.parent
