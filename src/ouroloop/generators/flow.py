"""Normalising flows: exact densities and exact samples, by the zuko library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ouroloop.errors import DataError
from ouroloop.generators.standardised import StandardisedGenerator
from ouroloop.generators.summary import Summary
from ouroloop.generators.training import Batch

__all__ = ["Flow"]

_CHUNK = 8192


@dataclass(frozen=True, kw_only=True, eq=False)
class Flow(StandardisedGenerator):
    r"""An autoregressive or coupling flow, trained by maximum likelihood; rows of any shape are flattened.

    .. math:: \log p(x) = \log \mathcal{N}(f(x)) + \log |\det \partial f / \partial x|

    Source: Durkan et al., "Neural Spline Flows", arXiv 1906.04032 (spline); Papamakarios et al., "Masked
    Autoregressive Flow", arXiv 1705.07057 (affine).
    """

    transform: Annotated[Literal["spline", "affine"], Field(description="how one feature is bent given the others")] = (
        "spline"
    )
    layers: Annotated[int, Field(ge=1, description="number of such transforms")] = 3
    coupling: Annotated[
        bool,
        Field(description="transform half of the features given the other half: draws many features fast"),
    ] = False
    width: Annotated[int, Field(ge=1, description="hidden units of the networks inside")] = 64
    depth: Annotated[int, Field(ge=1, description="hidden layers of the networks inside")] = 2
    bins: Annotated[int, Field(ge=2, description="pieces of a spline")] = 8
    activation: Annotated[
        Literal["relu", "silu", "tanh"],
        Field(description="of the networks inside; silu and tanh are smooth, as `theory.jacobian` assumes"),
    ] = "relu"

    def network(self, data: Summary) -> nn.Module:
        """The flow."""
        import zuko

        options = {
            "features": data.size,
            "context": self.n_classes(data),
            "transforms": self.layers,
            "hidden_features": [self.width] * self.depth,
            "activation": {"relu": nn.ReLU, "silu": nn.SiLU, "tanh": nn.Tanh}[self.activation],
            "passes": 2 if self.coupling and data.size > 1 else None,
        }
        return zuko.flows.NSF(bins=self.bins, **options) if self.transform == "spline" else zuko.flows.MAF(**options)

    def loss(self, batch: Batch) -> Tensor:
        """Negative log likelihood of the standardised rows, in nats a feature."""
        z = self.standardise(batch["x"]).flatten(1)
        return -self.module(self.one_hot(batch.get("label"))).log_prob(z).mean() / z.shape[1]

    def draw(self, n: int, label: Tensor | None = None) -> Tensor:
        """n rows."""
        context = self.one_hot(label)
        law = self.module(context)
        z = law.sample((n,)) if context is None else law.sample()
        return self.restore(z.reshape(n, *self.trained.summary.shape))

    def log_density(self, x: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
        """Log density of rows (n, ...) in nats, float64 (n,); a conditional flow's is given the rows' labels.

        Raises:
            DataError: rows of another shape, or labels missing.
        """
        summary = self.trained.summary
        device = next(self.module.parameters()).device
        rows = torch.tensor(np.asarray(x, np.float64))
        if tuple(rows.shape[1:]) != summary.shape:
            raise DataError(f"the flow was fitted on rows of shape {summary.shape}, got {tuple(rows.shape[1:])}")
        if self.conditional and label is None:
            raise DataError("a flow that was fitted with labels needs the rows' labels; pass label=")
        numbers = torch.from_numpy(summary.encode(np.asarray(label))) if self.conditional else None
        pieces = []
        with torch.inference_mode():
            for start in range(0, len(rows), _CHUNK):
                part = slice(start, start + _CHUNK)
                context = self.one_hot(None if numbers is None else numbers[part].to(device))
                z = self.standardise(rows[part].to(device)).flatten(1)
                pieces.append(self.module(context).log_prob(z).double().cpu().numpy())
        return np.concatenate(pieces or [np.zeros(0)]) - self.log_scale()
