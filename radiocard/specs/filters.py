"""Settings of image filters: those of IBSI-2 [1]_ and those of PyRadiomics 3.

Each filter gives one image or several, each with a name that becomes part of the column.

References
----------
.. [1] Depeursinge et al., Standardised convolutional filtering for radiomics, arXiv:2006.05470
"""

from __future__ import annotations

from itertools import product
from math import remainder
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from radiocard.specs.base import Count, Frozen, NotNegative, Positive, number_text
from radiocard.specs.discretisation import Discretisation

Boundary = Literal["mirror", "nearest", "zero", "periodic"]
Pooling = Literal["max", "min", "average"]
Dimension = Literal["2d", "3d"]
ORIGINAL = "original"


class _Filter(Frozen):
    """Filters may carry their own discretisation, since responses have another scale."""

    discretisation: Discretisation | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the filtered images, as PyRadiomics would write them."""
        return (str(self.__dict__["kind"]),)


class Original(_Filter):
    """The image as it is."""

    kind: Literal["original"]


class MeanFilter(_Filter):
    """Mean over a square or cube of ``support_voxel`` voxels (IBSI S60F)."""

    kind: Literal["mean"]
    dimension: Dimension
    support_voxel: Annotated[int, Field(ge=1, multiple_of=1)]
    boundary: Boundary

    @field_validator("support_voxel")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            msg = "the support must be odd"
            raise ValueError(msg)
        return value

    @property
    def names(self) -> tuple[str, ...]:
        """One image."""
        return (f"mean-{self.dimension}-{self.support_voxel}",)


class LogFilter(_Filter):
    """Laplacian of Gaussian (IBSI L6PA) of scale ``sigma_mm``, cut off at ``truncate`` sigma."""

    kind: Literal["laplacian_of_gaussian"]
    dimension: Dimension
    sigma_mm: Positive
    truncate: Positive
    boundary: Boundary

    @property
    def names(self) -> tuple[str, ...]:
        """One image."""
        return (f"laplacian-of-gaussian-{self.dimension}-{number_text(self.sigma_mm)}mm",)


class LawsFilter(_Filter):
    """Laws kernels (IBSI JTXT), one per axis, for example ``L5E5`` or ``E3W5R5``.

    ``energy_distance`` above 0 replaces the response by its mean absolute value within that
    Chebyshev distance [voxel] (IBSI PSPO).
    """

    kind: Literal["laws"]
    kernels: Annotated[str, Field(pattern=r"^(L3|E3|S3|L5|E5|S5|W5|R5){2,3}$")]
    rotation_invariant: bool
    pooling: Pooling
    energy_distance: Annotated[int, Field(ge=0)]
    boundary: Boundary

    @property
    def dimension(self) -> Dimension:
        """Two kernels act in the slice plane, three in space."""
        return "2d" if len(self.kernels) == 4 else "3d"

    @property
    def names(self) -> tuple[str, ...]:
        """One image."""
        rotated = f"-{self.pooling}" if self.rotation_invariant else ""
        energy = f"-energy-{self.energy_distance}" if self.energy_distance else ""
        return (f"laws-{self.kernels.lower()}{rotated}{energy}",)


class GaborFilter(_Filter):
    """Modulus of the response to Gabor kernels in the slice plane (IBSI Q88H).

    ``theta_deg`` is the orientation; if ``rotation_invariant`` it is the step between
    orientations that are pooled. ``orthogonal_planes`` averages over the three planes.
    """

    kind: Literal["gabor"]
    sigma_mm: Positive
    wavelength_mm: Positive
    gamma: Positive
    theta_deg: NotNegative
    rotation_invariant: bool
    pooling: Pooling
    orthogonal_planes: bool
    boundary: Boundary

    @model_validator(mode="after")
    def _step(self) -> GaborFilter:
        step = self.theta_deg
        if self.rotation_invariant and (not 0 < step <= 360 or abs(remainder(360, step)) > 1e-9 * step):
            msg = "'theta_deg' must divide 360 when rotation_invariant"
            raise ValueError(msg)
        return self

    @property
    def dimension(self) -> Dimension:
        """Three planes together act in space."""
        return "3d" if self.orthogonal_planes else "2d"

    @property
    def names(self) -> tuple[str, ...]:
        """One image."""
        theta = number_text(self.theta_deg)
        how = f"step{theta}-{self.pooling}" if self.rotation_invariant else theta
        size = f"{number_text(self.sigma_mm)}mm-{number_text(self.wavelength_mm)}mm-{number_text(self.gamma)}"
        return (f"gabor-{self.dimension}-{size}-{how}",)


class WaveletFilter(_Filter):
    """Separable wavelets (IBSI 25BO): the named subbands of one level, in 2D or 3D.

    A subband has one letter per axis ``i, j`` (and ``k``). ``decimated`` drops every other
    sample after each level. ``rotation_invariant`` pools the responses of all right-angle
    rotations of the kernel.
    """

    kind: Literal["separable_wavelet"]
    wavelet: Annotated[str, Field(pattern=r"^[a-z]+[0-9.]*$", max_length=12)]
    level: Annotated[int, Field(ge=1, le=4)]
    subbands: tuple[Annotated[str, Field(pattern=r"^[LH]{2,3}$")], ...]
    decimated: bool
    rotation_invariant: bool
    pooling: Pooling
    boundary: Boundary

    @model_validator(mode="after")
    def _one_dimension(self) -> WaveletFilter:
        if not self.subbands or len({len(band) for band in self.subbands}) != 1:
            msg = "'subbands' must name at least one, all with two letters or all with three"
            raise ValueError(msg)
        if self.decimated and self.rotation_invariant:
            msg = "rotation invariance needs 'decimated: false'"
            raise ValueError(msg)
        return self

    @property
    def dimension(self) -> Dimension:
        """Two letters act in the slice plane, three in space."""
        return "2d" if len(self.subbands[0]) == 2 else "3d"

    @property
    def names(self) -> tuple[str, ...]:
        """One image per subband."""
        how = ("-decimated" if self.decimated else "") + (f"-{self.pooling}" if self.rotation_invariant else "")
        return tuple(f"separable-{self.wavelet}-{self.level}{how}-{band}" for band in self.subbands)


class PyradiomicsLog(_Filter):
    """PyRadiomics' LoG: ITK's recursive Gaussian in space, one image per sigma [mm]."""

    kind: Literal["pyradiomics_log"]
    sigma_mm: Annotated[tuple[int | float, ...], Field(min_length=1)]

    @field_validator("sigma_mm")
    @classmethod
    def _positive(cls, value: tuple[int | float, ...]) -> tuple[int | float, ...]:
        if min(value) <= 0:
            msg = "every sigma must be above 0"
            raise ValueError(msg)
        return value

    @property
    def names(self) -> tuple[str, ...]:
        """One image per sigma, written as it was given: 1 is not 1.0."""
        return tuple(f"log-sigma-{str(s).replace('.', '-')}-mm-3D" for s in self.sigma_mm)


class PyradiomicsWavelet(_Filter):
    """PyRadiomics' wavelets: stationary, all subbands, periodic padding (2D under ``force2D``)."""

    kind: Literal["pyradiomics_wavelet"]
    wavelet: Annotated[str, Field(pattern=r"^[a-z]+[0-9.]*$", max_length=12)]
    start_level: Annotated[int, Field(ge=0)]
    level: Count
    dimension: Dimension

    @property
    def names(self) -> tuple[str, ...]:
        """All subbands but the approximation per level, and the approximation of the last.

        Levels are counted from the first that is kept: ``wavelet-LLH``, ``wavelet2-LLH``.
        """
        n = 2 if self.dimension == "2d" else 3
        bands = ["".join(letters) for letters in product("LH", repeat=n)]
        out: list[str] = []
        for step in range(1, self.level + 1):
            prefix = f"wavelet{step}" if step > 1 else "wavelet"
            out += [f"{prefix}-{band}" for band in bands if "H" in band]
        return (*out, f"{prefix}-{bands[0]}")


class PyradiomicsPoint(_Filter):
    """PyRadiomics' voxel-wise filters, scaled to the range of the image."""

    kind: Literal["square", "squareroot", "logarithm", "exponential"]


class PyradiomicsGradient(_Filter):
    """PyRadiomics' gradient magnitude, per mm or (``use_spacing: false``) per voxel."""

    kind: Literal["gradient"]
    use_spacing: bool


class PyradiomicsLbp2D(_Filter):
    """PyRadiomics' local binary patterns in the slice plane."""

    kind: Literal["lbp_2d"]
    radius: Positive
    samples: Count
    method: Literal["default", "ror", "uniform", "var"]

    @property
    def names(self) -> tuple[str, ...]:
        """One image."""
        return ("lbp-2D",)


Filter = Annotated[
    Original
    | MeanFilter
    | LogFilter
    | LawsFilter
    | GaborFilter
    | WaveletFilter
    | PyradiomicsLog
    | PyradiomicsWavelet
    | PyradiomicsPoint
    | PyradiomicsGradient
    | PyradiomicsLbp2D,
    Field(discriminator="kind"),
]
