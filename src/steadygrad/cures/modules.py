"""The modules that cures put into a model. They rely on torch alone, and script, export, copy and pickle like torch's own."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Plus(nn.Module):
    """The branch times a scale, plus what went into it: ``scale · branch + skip`` (He et al. 2016, arXiv:1512.03385)."""

    def __init__(self, scale: float = 1.0, projection: nn.Module | None = None) -> None:
        super().__init__()
        self.scale = scale
        self.projection = projection if projection is not None else nn.Identity()

    def forward(self, branch: Tensor, skip: Tensor) -> Tensor:
        carried: Tensor = self.projection(skip)
        return self.scale * branch + carried

    def extra_repr(self) -> str:
        return f"scale={self.scale:.4g}"


class Gated(nn.Module):
    """A trained gate, 0 at first, times the branch, plus what went into it (Bachlechner et al. 2021, arXiv:2003.04887)."""

    def __init__(self, projection: nn.Module | None = None) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(()))
        self.projection = projection if projection is not None else nn.Identity()

    def forward(self, branch: Tensor, skip: Tensor) -> Tensor:
        carried: Tensor = self.projection(skip)
        return self.gate * branch + carried


class Resize(nn.Module):
    """The skip in the branch's shape without a weight: channels padded with zeros or left out, pixels averaged over strides.

    (He et al. 2016, section 3.3, option A.) ``channel_dimension`` is 1 in images and sequences, -1 in rows.
    """

    def __init__(self, channels: int, stride: int = 1, *, channel_dimension: int = -1) -> None:
        super().__init__()
        self.channels = channels
        self.stride = stride
        self.channel_dimension = channel_dimension

    def forward(self, x: Tensor) -> Tensor:
        if self.stride > 1:
            if x.dim() == 4:
                x = nn.functional.avg_pool2d(x, self.stride, ceil_mode=True)
            else:
                x = nn.functional.avg_pool1d(x, self.stride, ceil_mode=True)
        dimension = self.channel_dimension if self.channel_dimension >= 0 else x.dim() + self.channel_dimension
        have = x.size(dimension)
        if have >= self.channels:
            return x.narrow(dimension, 0, self.channels)
        shape = list(x.shape)
        shape[dimension] = self.channels - have
        return torch.cat([x, torch.zeros(shape, dtype=x.dtype, device=x.device)], dimension)

    def extra_repr(self) -> str:
        return f"{self.channels}, stride={self.stride}"


class ChannelNorm(nn.Module):
    """A norm over the channels of each position, for images (batch, channels, ...): layer or RMS norm."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = self.norm(x.transpose(1, -1))
        return normed.transpose(1, -1)


class RowsBatchNorm(nn.Module):
    """Batch norm of each feature over batch and time, for sequences (batch, time, features)."""

    def __init__(self, norm: nn.BatchNorm1d) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = self.norm(x.flatten(0, -2))
        return normed.view(x.shape)


class Standardise(nn.Module):
    """(x − mean) ÷ std with the numbers of the batch that it was made from; they are buffers and stay as they are.

    One number for each feature of rows (batch, ..., features), or one for everything.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("variance", std**2)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, self.mean.numel())
        return nn.functional.batch_norm(rows, self.mean, self.variance, eps=0.0).reshape(x.shape)

    def extra_repr(self) -> str:
        return f"{self.mean.numel()}"


class InUnits(nn.Module):
    """std · x + mean: what a standardised output is in the units of its target; the numbers are buffers and stay."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.std + self.mean
