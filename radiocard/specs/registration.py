"""Settings of the registration of two images or of the frames of a series."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from radiocard.specs.base import Count, Frozen, Positive

Fraction = Annotated[float, Field(gt=0, le=1)]


class RegistrationSettings(Frozen):
    """How two images are aligned, and when the alignment counts as failed.

    ``contrast`` says whether the same tissue has the same grey value in both images (``same``:
    correlation) or not (``different``: Mattes mutual information [1]_). ``deformable`` adds
    B-splines with control points ``control_spacing_mm`` apart to the rigid alignment in the slice
    plane [2]_; they stop where a step gains less than ``tolerance`` of the similarity, before they
    fit the noise. Pixels up to ``margin_mm`` from the mask are compared, at the resolution of a
    Gaussian of ``smoothing_mm`` (standard deviation) where two alignments are compared.

    An alignment fails where it shifts the region by more than ``max_shift_mm``, turns it by more
    than ``max_turn_deg``, deforms it by more than ``max_deformation_mm``, or where less than
    ``min_overlap`` of the region is seen in both images. It also fails where the best place does
    not stand out among all shifts, ``search_step_mm`` apart, up to twice ``max_shift_mm``: its
    similarity must exceed their median by ``min_distinctness`` robust standard deviations, and the
    runner-up, at least three steps away, may reach at most ``max_runner_up`` of that excess.

    References
    ----------
    .. [1] Mattes et al., IEEE Trans Med Imaging 22 (2003) 120
    .. [2] Rueckert et al., IEEE Trans Med Imaging 18 (1999) 712
    """

    contrast: Literal["same", "different"]
    deformable: bool = True
    margin_mm: Positive = 15.0
    control_spacing_mm: Positive = 35.0
    smoothing_mm: Positive = 2.0
    histogram_bins: Annotated[int, Field(ge=5, le=256)] = 32
    max_iterations: Count = 200
    tolerance: Positive = 1e-3
    search_step_mm: Positive = 4.0
    max_shift_mm: Positive = 20.0
    max_turn_deg: Positive = 15.0
    max_deformation_mm: Positive = 10.0
    min_overlap: Fraction = 0.8
    min_distinctness: Positive = 6.0
    max_runner_up: Fraction = 0.6
    max_tilt_deg: Positive = 10.0
