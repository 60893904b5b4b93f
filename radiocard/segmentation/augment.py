"""Random changes of training slices, by the transforms of MONAI. Needs the extra ``cnn``."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.transforms.compose import Compose
from monai.transforms.intensity.dictionary import (
    RandAdjustContrastd,
    RandBiasFieldd,
    RandGaussianNoised,
    RandGaussianSmoothd,
)
from monai.transforms.spatial.dictionary import RandAffined, RandFlipd
from monai.transforms.transform import MapTransform, RandomizableTransform

from radiocard.specs.segmentation import NetworkRecipe

IMAGE, MASK = "image", "mask"


class SliceMotion(RandomizableTransform, MapTransform):
    """Take some lines of k-space from a displaced heart: motion between heartbeats, in each slice on its own.

    Parameters
    ----------
    max_px : float
        Largest displacement [pixel].
    prob : float
        Share of the samples that are changed.
    """

    def __init__(self, *, max_px: float, prob: float) -> None:
        MapTransform.__init__(self, [IMAGE])
        RandomizableTransform.__init__(self, prob)
        self.max_px = max_px

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the sample, its image of shape (1, size, size) or (1, size, size, slices) changed."""
        out = dict(data)
        self.randomize(None)
        if not self._do_transform:
            return out
        image = torch.as_tensor(out[IMAGE])
        stack = image[0] if image.ndim == 4 else image[0][..., None]
        moved = [self._move(stack[..., k]) for k in range(stack.shape[-1])]
        out[IMAGE] = torch.stack(moved, dim=-1)[None] if image.ndim == 4 else moved[0][None]
        return out

    def _move(self, plane: torch.Tensor) -> torch.Tensor:
        n = plane.shape[0]
        shift = self.R.uniform(-self.max_px, self.max_px, 2)
        first, count = int(self.R.randint(0, n)), int(self.R.randint(n // 8, n // 2))
        lines = (first + np.arange(count)) % n
        k_space = torch.fft.fft2(plane)
        frequency = torch.fft.fftfreq(n)
        phase = torch.exp(-2j * torch.pi * (frequency[:, None] * shift[0] + frequency[None, :] * shift[1]))
        k_space[lines] = (k_space * phase)[lines]
        return torch.fft.ifft2(k_space).real.float()


def augmentation(recipe: NetworkRecipe) -> Compose:
    """Return the random changes of a recipe.

    Parameters
    ----------
    recipe : NetworkRecipe

    Returns
    -------
    monai.transforms.Compose
        From a sample with ``image`` (float32) and ``mask``, both of shape (1, side, side) or (1, side,
        side, slices) with a side that may exceed the network's, to one of the network's size. Seed it
        with ``set_random_state``.
    """
    a, size = recipe.augmentation, recipe.grid.size_px
    flat = recipe.dimensions == 2
    turn = np.deg2rad(a.rotation_deg)
    keys, modes = (IMAGE, MASK), ("bilinear", "nearest")
    steps: list[Any] = [
        RandAffined(
            keys,
            spatial_size=(size, size) if flat else (size, size, -1),
            prob=a.probability,
            rotate_range=(turn,) if flat else (0.0, 0.0, turn),
            scale_range=(a.scale, a.scale) if flat else (a.scale, a.scale, 0.0),
            translate_range=(a.shift_px, a.shift_px) if flat else (a.shift_px, a.shift_px, 0.0),
            mode=modes,
            padding_mode="border",
        )
    ]
    if a.flips:
        steps += [RandFlipd(keys, prob=0.5, spatial_axis=axis) for axis in (0, 1)]
    steps += [
        SliceMotion(max_px=a.motion_px, prob=a.probability),
        RandGaussianSmoothd([IMAGE], prob=a.probability, **_sigmas(a.blur_px, flat=flat)),
        RandBiasFieldd([IMAGE], prob=a.probability, coeff_range=(0.0, a.bias_field)),
        RandAdjustContrastd([IMAGE], prob=a.probability, gamma=(1 / a.gamma, a.gamma)),
        RandGaussianNoised([IMAGE], prob=a.probability, std=a.noise),
    ]
    return Compose(steps)


def _sigmas(blur_px: float, *, flat: bool) -> dict[str, tuple[float, float]]:
    blur, none = (0.0, blur_px), (0.0, 0.0)
    return {"sigma_x": blur, "sigma_y": blur, "sigma_z": blur if flat else none}
