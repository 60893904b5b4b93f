"""Networks of MONAI by recipe. Needs the extra ``cnn``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radiocard.errors import MissingExtraError
from radiocard.segmentation.probabilities import CLASSES
from radiocard.specs.segmentation import NetworkRecipe

if TYPE_CHECKING:
    from torch import nn


def require_torch(purpose: str = "Training a network") -> None:
    """Refuse to go on without torch and MONAI.

    Parameters
    ----------
    purpose : str
        What needs them, for the message.

    Raises
    ------
    MissingExtraError
        If one of them is not installed.
    """
    try:
        import monai  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        msg = f"{purpose} needs torch and MONAI: {error}."
        raise MissingExtraError(msg, hint="Install with: pip install 'radiocard[cnn]'") from None


def build_network(recipe: NetworkRecipe, *, out_channels: int = len(CLASSES)) -> nn.Module:
    """Make the untrained network of a recipe.

    Parameters
    ----------
    recipe : NetworkRecipe
    out_channels : int
        Values per pixel; 1 for the reconstruction of an image.

    Returns
    -------
    torch.nn.Module
        From float32 of shape (n, 1, size, size), or (n, 1, size, size, slices) in three dimensions, to
        logits with ``out_channels`` in place of 1. While training, a DynUNet with deep supervision
        gives (n, 1 + levels, out_channels, ...).

    Raises
    ------
    MissingExtraError
        If torch or MONAI is not installed.
    """
    require_torch()
    if recipe.architecture == "dynunet":
        return _dynunet(recipe, out_channels)
    from monai.networks.nets.attentionunet import AttentionUnet
    from monai.networks.nets.unet import UNet

    flat = recipe.dimensions == 2
    step, kernel = (2, 3) if flat else ((2, 2, 1), (3, 3, 3))
    levels = len(recipe.channels) - 1
    if recipe.architecture == "attention_unet":
        if not flat:
            return AttentionUnet(
                3, 1, out_channels, recipe.channels, [(2, 2, 1)] * levels, kernel, dropout=recipe.dropout
            )
        return AttentionUnet(2, 1, out_channels, recipe.channels, [2] * levels, dropout=recipe.dropout)
    return UNet(
        recipe.dimensions,
        1,
        out_channels,
        recipe.channels,
        [step] * levels,
        kernel_size=kernel,
        num_res_units=2 if recipe.architecture == "residual_unet" else 0,
        norm="instance",
        dropout=recipe.dropout,
    )


def _dynunet(recipe: NetworkRecipe, out_channels: int) -> nn.Module:
    from monai.networks.nets.dynunet import DynUNet

    n = len(recipe.channels)
    flat = recipe.dimensions == 2
    halving: list[int] | list[tuple[int, int, int]] = [2] * (n - 1) if flat else [(2, 2, 1)] * (n - 1)
    whole: list[int] | list[tuple[int, int, int]] = [1] if flat else [(1, 1, 1)]
    return DynUNet(
        recipe.dimensions,
        1,
        out_channels,
        kernel_size=[3] * n,
        strides=[*whole, *halving],
        upsample_kernel_size=halving,
        filters=list(recipe.channels),
        dropout=recipe.dropout or None,
        norm_name=("INSTANCE", {"affine": True}),
        deep_supervision=recipe.deep_supervision > 0,
        deep_supr_num=max(recipe.deep_supervision, 1),
    )
