"""Class-conditional diffusion for small images: 8x8 digits, 28x28 MNIST and the like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from ouroloop.errors import DataError
from ouroloop.generators.diffusing import Diffusing
from ouroloop.generators.diffusion_process.unet import UNet
from ouroloop.generators.standardised import ScaleBy
from ouroloop.generators.summary import Summary

__all__ = ["ImageDiffusion"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageDiffusion(Diffusing):
    """A diffusion model with a small U-Net, for rows of shape (height, width) or (channels, height, width).

    Samples come in the data's own range (0..1, 0..16 or 0..255) as floating numbers, and are cut off at the least and
    greatest value of the first training rows.

    The network is sized for 8x8 digits. For 28x28 MNIST take ``widths=(16, 48), blocks=(1, 2)``, an average
    (``ema=0.99``), and noise levels that reach higher, in training (``noise_mean=0, noise_spread=1.6``) and in
    sampling (``noise_high=80, noise_low=0.02, grid_curve=3``): with them 5 steps suffice. A ``guidance_strength`` of
    0.5 between ``guidance_low=0.3`` and ``guidance_high=4`` gives clearer classes for one network call more. What each
    choice costs on MNIST is in benchmarks/mnist_sampling.md.
    """

    scale_by: Annotated[
        ScaleBy,
        Field(description="feature: a centre and scale each; data: a centre each, one scale; image: one of both"),
    ] = "image"
    patch: Annotated[
        int,
        Field(ge=0, description="side of the squares of pixels gathered at the input; 0: 2 from 16 pixels on, else 1"),
    ] = 0
    widths: Annotated[
        tuple[int, ...], Field(min_length=1, description="channels at each resolution, the first after gathering")
    ] = (16, 32)
    blocks: Annotated[
        tuple[int, ...],
        Field(min_length=1, description="residual blocks at each resolution, before and after the deeper ones"),
    ] = (1, 2)
    dropout: Annotated[float, Field(ge=0, lt=1, description="share of channels dropped in training")] = 0.0
    clip: Annotated[bool, Field(description="cut samples off at the range of the first training rows")] = True

    def backbone(self, data: Summary) -> nn.Module:
        """The U-Net.

        Raises:
            DataError: rows that are not images.
        """
        if len(data.shape) not in (2, 3):
            raise DataError(
                "image_diffusion: rows must have shape (height, width) or (channels, height, width), "
                f"got {data.shape}; use generator 'diffusion' for vectors"
            )
        if len(self.widths) != len(self.blocks):
            raise DataError(
                f"image_diffusion: widths and blocks need one entry a resolution each, got {self.widths}, {self.blocks}"
            )
        return UNet(
            data.shape,
            patch=self.patch or (2 if min(data.shape[-2:]) >= 16 else 1),
            widths=self.widths,
            blocks=self.blocks,
            n_classes=self.n_classes(data),
            dropout=self.dropout,
        )

    def draw(self, n: int, label: Tensor | None = None) -> Tensor:
        """n images by the sampler."""
        images = super().draw(n, label)
        return images.clamp(self.trained.summary.low, self.trained.summary.high) if self.clip else images
