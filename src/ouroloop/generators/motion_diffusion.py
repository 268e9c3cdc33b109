"""Text-conditioned diffusion for human motions: a compact transformer, and the published size for a GPU."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ouroloop.errors import PartError, SpecError
from ouroloop.generators.diffusion_process.motion_memory import CONDITION_COLUMNS, MotionMemory, without_captions
from ouroloop.generators.diffusion_process.motion_transformer import CleanMotion, MotionTransformer, by_length
from ouroloop.generators.diffusion_process.samplers import SAMPLERS, Solver
from ouroloop.generators.diffusion_process.schedule import noise_levels
from ouroloop.generators.diffusion_process.text import TextEncoder, text_encoder
from ouroloop.generators.summary import Summary
from ouroloop.generators.torch_generator import TorchGenerator
from ouroloop.generators.training import Batch, check_rows, choose_device, isolated
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.progress import report
from ouroloop.protocols import Condition
from ouroloop.samples import Samples

__all__ = ["SIZES", "MotionDiffusion", "Size"]


class Size(NamedTuple):
    """A preset: frames a token, the transformer's numbers, and how it is sampled."""

    patch: int
    layers: int
    width: int
    feed_forward: int
    heads: int
    dropout: float
    solver: Solver
    sampling_steps: int
    cosine_grid: bool


SIZES = {
    "compact": Size(4, 4, 160, 320, 4, 0.1, "dpm2m", 16, False),
    "paper": Size(1, 8, 512, 1024, 4, 0.1, "ancestral", 1000, True),
}
"""compact: 1.5 million parameters, for two processor cores. paper: MDM's numbers as SCSC uses them, for a GPU."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MotionDiffusion(TorchGenerator):
    """Human motions for captions, of a wanted length: rows of shape (frames, features) with `caption` and `length`.

    The network predicts the clean motion from a noisy one, the noise level, the caption and the length; features are
    standardised by the first training rows, and this is kept through fine-tuning. Frames after `length` are zero.
    Without a condition, captions and lengths are drawn together from those of the first training rows.

    With ``size="paper"`` and ``learning_rate=1e-4, batch_size=64, optimiser_state="reset"`` it is the model of SCSC's
    motion experiment, but for the text side: words learnt here, or your sentence encoder, in place of CLIP.

    Raises:
        SpecError: a sampler's grid that is empty, or guidance by a network that never learns to do without captions.

    Source: Tevet et al., "Human Motion Diffusion Model", arXiv 2209.14916; what differs is said in
    `diffusion_process.motion_transformer`.
    """

    condition_columns: ClassVar[tuple[str, ...]] = CONDITION_COLUMNS

    steps: Annotated[int, Field(ge=1, description="gradient steps of a fit")] = 250
    first_steps: Annotated[int | None, Field(ge=1, description="gradient steps from scratch; None: steps")] = 1000
    batch_size: Annotated[int, Field(ge=1, description="rows a gradient step")] = 32
    learning_rate: Annotated[float, Field(gt=0, description="peak learning rate of a fit")] = 3e-4
    first_learning_rate: Annotated[
        float | None, Field(gt=0, description="peak learning rate from scratch; None: learning_rate")
    ] = 1e-3
    warm_up: Annotated[
        int, Field(ge=0, description="steps over which the learning rate rises, where the optimiser starts afresh")
    ] = 20
    optimiser: Annotated[Literal["adam", "adamw"], Field(description="optimiser")] = "adamw"
    ema: Annotated[
        float, Field(ge=0, lt=1, description="decay of the running average of the weights that is sampled; 0: none")
    ] = 0.99
    sample_batch: Annotated[int, Field(ge=1, description="rows drawn at a time")] = 128

    size: Annotated[
        Literal["compact", "paper"], Field(description="compact: for processor cores; paper: the published size")
    ] = "compact"
    text_encoder: Annotated[
        str | None,
        Field(description="a sentence-transformers model (folder or name); None: words learnt with the network"),
    ] = None
    condition_dropout: Annotated[
        float, Field(ge=0, lt=1, description="share of training rows without their caption; guidance needs some")
    ] = 0.1
    guidance_strength: Annotated[
        float, Field(ge=0, description="classifier-free guidance; 0: none (MDM's scale s is 1 + this)")
    ] = 0.0
    solver: Annotated[
        Solver | None,
        Field(description="dpm2m, heun: second order; euler: DDIM; ancestral: DDPM; None: the size's own"),
    ] = None
    sampling_steps: Annotated[int | None, Field(ge=1, description="steps from noise to data; None: the size's own")] = (
        None
    )
    noise_low: Annotated[float, Field(gt=0, description="least noise-to-signal ratio of the sampler's grid")] = 0.02
    noise_high: Annotated[float, Field(gt=0, description="noise-to-signal ratio that sampling starts from")] = 80.0
    grid_curve: Annotated[
        float, Field(gt=0, description="how the sampler's grid crowds towards low noise (EDM's rho)")
    ] = 7.0

    _memory: MotionMemory | None = field(init=False, default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.noise_low < self.noise_high:
            raise SpecError(f"noise_low: must be less than noise_high, got {self.noise_low} and {self.noise_high}")
        if self.guidance_strength and not self.condition_dropout:
            raise SpecError("condition_dropout: guidance needs rows that are trained on without their caption; set 0.1")

    # What the training loop asks for

    def network(self, data: Summary) -> nn.Module:
        """The denoiser."""
        size = SIZES[self.size]
        return CleanMotion(
            MotionTransformer(
                data.shape[-1],
                patch=size.patch,
                text=self._text.module(size.width),
                width=size.width,
                layers=size.layers,
                heads=size.heads,
                feed_forward=size.feed_forward,
                dropout=size.dropout,
            )
        )

    def compiled_part(self, network: nn.Module) -> nn.Module:
        """The transformer inside the denoiser."""
        assert isinstance(network.network, nn.Module)
        return network.network

    def loss(self, batch: Batch) -> Tensor:
        """The denoiser's loss; the padding that no motion of the batch reaches is cut off first."""
        x, length = batch["x"], batch["length"]
        x = x[:, : self._frames(length)]
        centre, scale = self._standard(x)
        return self.module.loss((x - centre) / scale, batch["text"], length, dropout=self.condition_dropout)

    def draw(self, n: int, text: Tensor | None = None, length: Tensor | None = None) -> Tensor:
        """n motions by the sampler, for captions as numbers and lengths; shape (n, frames, features)."""
        assert text is not None, "sample gives both"
        assert length is not None, "sample gives both"
        frames, features = self.trained.summary.shape
        levels = self.noise_levels()
        short = self._frames(length)
        y = torch.randn(n, short, features) * levels[0]
        solver = SAMPLERS[self.solver or SIZES[self.size].solver]
        for rows, cut in by_length(length, SIZES[self.size].patch):
            denoiser = self.module.given(text[rows], length[rows], guidance_strength=self.guidance_strength)
            y[rows, :cut] = solver(denoiser.at, y[rows, :cut], levels)
        centre, scale = self._standard(y)
        mask = torch.arange(short) < length.unsqueeze(1)
        motions = (y * scale + centre) * mask.unsqueeze(2)
        return nn.functional.pad(motions, (0, 0, 0, frames - short))

    def noise_levels(self) -> list[float]:
        """The sampler's grid of noise-to-signal ratios, falling to 0."""
        size = SIZES[self.size]
        steps = self.sampling_steps or size.sampling_steps
        if not size.cosine_grid:
            return noise_levels(steps, low=self.noise_low, high=self.noise_high, curve=self.grid_curve)
        return [math.tan(math.pi / 2 * min((steps - i) / steps, 0.999)) for i in range(steps)] + [0.0]

    # What the loop calls

    @property
    def memory(self) -> MotionMemory:
        """Scales, captions and lengths of the first training rows."""
        if self._memory is None:
            raise PartError("MotionDiffusion has not been fitted; call fit first")
        return self._memory

    def fit(self, training: Pool, *, key: Key, previous: TorchGenerator | None = None) -> Self:
        """Train from scratch, or fine-tune a copy of `previous`.

        Raises:
            DataError: rows that are no motions with captions and lengths, or that `previous` cannot continue on.
            PartError: `previous` is of another class or unfitted, or the loss became NaN or infinite.
        """
        if previous is None:
            memory = MotionMemory.of(training)
        elif isinstance(previous, MotionDiffusion):
            memory = previous.memory
        else:
            raise PartError(f"cannot fine-tune a {type(previous).__name__} as MotionDiffusion")
        start = replace(self)
        object.__setattr__(start, "_memory", memory)
        return super(MotionDiffusion, start).fit(self._encoded(training), key=key, previous=cast(Any, previous))

    def sample(self, n: int, *, key: Key, condition: Condition | None = None) -> Samples:
        """n motions with their `caption` and `length`, drawn in chunks of `sample_batch`.

        The condition's columns are copied; without one, pairs are drawn from those of the first training rows.

        Raises:
            DataError: n < 0, or a condition that lacks a column or asks for more frames than the training rows had.
        """
        trained, memory = self.trained, self.memory
        check_rows(n)
        columns = memory.draw(n, key=key.child("condition")) if condition is None else memory.check(n, condition)
        device = choose_device(self.device)
        text = torch.from_numpy(self._text.encode(columns["caption"].tolist()))
        length = torch.from_numpy(columns["length"].astype(np.int64))
        x = np.empty((n, *trained.summary.shape), trained.summary.sample_dtype)
        with isolated(key.child("noise"), device), self._running(device), torch.inference_mode():
            for start in range(0, n, self.sample_batch):
                stop = min(start + self.sample_batch, n)
                given = {"text": text[start:stop].to(device), "length": length[start:stop].to(device)}
                x[start:stop] = self._rows(stop - start, given)
                report("sample", stop, n)
        return Samples.of(x, **columns)

    def save(self, directory: Path) -> None:
        """Write weights, optimiser state and memory into an existing directory."""
        super().save(directory)
        self.memory.save(Path(directory))

    def load(self, directory: Path) -> Self:
        """A fitted copy with the state in `directory`."""
        start = replace(self)
        object.__setattr__(start, "_memory", MotionMemory.load(Path(directory)))
        return super(MotionDiffusion, start).load(directory)

    def _with(self, trained: Any, active: nn.Module | None = None) -> Self:
        model = super()._with(trained, active)
        object.__setattr__(model, "_memory", self._memory)
        return model

    @property
    def _text(self) -> TextEncoder:
        return text_encoder(self.text_encoder)

    def _encoded(self, training: Pool) -> Pool:
        encoder = self._text
        return Pool.of(*(without_captions(p, encoder.encode(p["caption"].tolist())) for p in training.parts))

    def _frames(self, length: Tensor) -> int:
        """Frames of the longest motion, in whole tokens, but not more than a row has."""
        patch = SIZES[self.size].patch
        return min(-(-int(length.max()) // patch) * patch, self.memory.frames)

    def _standard(self, like: Tensor) -> tuple[Tensor, Tensor]:
        memory = self.memory
        return torch.from_numpy(memory.centre).to(like), torch.from_numpy(memory.scale).to(like)
