"""Where a classifier looks: what hiding a part costs (occlusion), and Grad-CAM."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import UsageError
from radiocard.image import FloatArray

if TYPE_CHECKING:
    from torch import nn

Channels = NDArray[np.float32]
Ask = Callable[[Channels], NDArray[np.floating[Any]]]
_LAST = "encoder.class_layers.relu"  # the last layer of MONAI's DenseNet that still has places


def occlusion_map(channels: Channels, ask: Ask, *, answer: int, slices: int, patch_px: int = 8) -> FloatArray:
    """Hide one patch of one slice after the other, in both phases, and see what the answer loses.

    Parameters
    ----------
    channels : ndarray of float32, shape (phases * slices, side, side)
        One heart, of zero mean: a hidden patch is zero.
    ask : callable
        From hearts of shape (n, phases * slices, side, side) to class probabilities (n, n_classes).
    answer : int
        Class whose probability is watched.
    slices : int
        Slices of one phase.
    patch_px : int
        Side of the patch; it moves by half of it.

    Returns
    -------
    ndarray of float, shape (slices, side, side)
        Mean loss of probability over all patches that hid a pixel; negative where hiding it helps.

    Raises
    ------
    UsageError
        If the patch is smaller than 2 pixels or larger than the image.
    """
    side = channels.shape[-1]
    if not 2 <= patch_px <= side:
        msg = f"The patch has {patch_px} pixels, expected 2 to {side}."
        raise UsageError(msg, field="patch_px")
    whole = float(ask(channels[None])[0, answer])
    starts = sorted({*range(0, side - patch_px + 1, patch_px // 2), side - patch_px})
    total, count = np.zeros((slices, side, side)), np.zeros((side, side))
    for i in starts:
        for j in starts:
            place = (slice(i, i + patch_px), slice(j, j + patch_px))
            hidden = np.repeat(channels[None], slices, axis=0)
            for k in range(slices):
                hidden[k, k::slices, place[0], place[1]] = 0.0
            loss = whole - ask(hidden)[:, answer]
            total[(slice(None), *place)] += loss[:, None, None]
            count[place] += 1
    return np.asarray(total / count)


def grad_cam(network: nn.Module, channels: Channels, *, answer: int) -> FloatArray:
    """Return Grad-CAM of MONAI [1]_ for one class, slice by slice.

    Parameters
    ----------
    network : torch.nn.Module
        Made by :func:`radiocard.segmentation.classifier.build_classifier`.
    channels : ndarray of float32, shape (2 * slices, side, side)
    answer : int

    Returns
    -------
    ndarray of float, shape (slices, side, side)
        From 0 to 1; all 0 where nothing speaks for the class.

    References
    ----------
    .. [1] Selvaraju et al., ICCV (2017), doi:10.1109/ICCV.2017.74
    """
    import torch
    from monai.visualize.class_activation_maps import GradCAM

    network.eval()
    cam = GradCAM(nn_module=network, target_layers=_LAST, postprocessing=lambda x: x)
    found = cam(torch.from_numpy(np.ascontiguousarray(channels[None])), class_idx=answer)
    shown = np.maximum(np.asarray(found[:, 0].detach().numpy(), dtype=float), 0.0)
    top = float(shown.max())
    return shown / top if top > 0 else shown
