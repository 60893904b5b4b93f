"""Settings of scar in late gadolinium images."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from radiocard.specs.base import Frozen, Positive
from radiocard.specs.discretisation import Discretisation


class ScarSettings(Frozen):
    """How scar is told from normal myocardium.

    ``n_sd`` is the number of standard deviations above remote myocardium from which on it is hyperenhanced: the
    threshold of ``n_sd``, and what the other methods ask for before they call anything scar. The grey zone begins
    at ``grey_zone_n_sd``. Thresholds and remote region come from the wall without ``edge_pixels`` at both its
    edges, where blood and fat share the voxels. ``remote_width_deg`` is the angle of the sector that is taken as
    remote where none is given. ``scope: slice`` finds a threshold per slice, for images that were scaled slice by
    slice. ``entropy`` is the discretisation of the entropy of the myocardium.
    """

    method: Literal["n_sd", "fwhm", "otsu", "gmm"]
    n_sd: Positive
    grey_zone_n_sd: Positive
    edge_pixels: Annotated[int, Field(ge=0)]
    remote_width_deg: Positive
    scope: Literal["stack", "slice"]
    include_no_reflow: bool
    entropy: Discretisation
