"""Scar settings: what is refused, and that nothing has a default."""

import pytest
from pydantic import ValidationError

from radiocard.specs.lge import ScarSettings

GIVEN = {
    "method": "otsu",
    "n_sd": 5,
    "grey_zone_n_sd": 2,
    "edge_pixels": 1,
    "remote_width_deg": 60,
    "scope": "stack",
    "include_no_reflow": True,
    "entropy": {"method": "fbn", "bins": 64, "max_bins": 256},
}


@pytest.mark.parametrize("setting", GIVEN)
def test_every_setting_must_be_given(setting):
    with pytest.raises(ValidationError, match=f"{setting}\n.*Field required"):
        ScarSettings.model_validate({k: v for k, v in GIVEN.items() if k != setting})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"method": "kmeans"}, "should be 'n_sd', 'fwhm', 'otsu' or 'gmm'"),
        ({"n_sd": 0}, "greater than 0"),
        ({"edge_pixels": -1}, "greater than or equal to 0"),
        ({"n_sdd": 5}, "Extra inputs are not permitted"),
    ],
)
def test_settings_out_of_range_are_refused(changed, message):
    with pytest.raises(ValidationError, match=message):
        ScarSettings.model_validate(GIVEN | changed)
