"""Layers of the networks in pytorch_networks.py that PyTorch does not have."""

import torch
from torch import nn


class Scaled(nn.Module):
    """`scale * x + shift`."""

    def __init__(self, scale: float, shift: float) -> None:
        super().__init__()
        self.scale, self.shift = scale, shift

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * x + self.shift


class FromImage(nn.Linear):
    """A dense layer from whole images."""

    def __init__(self, channels: int, pixels: int, features: int, bias: bool = True) -> None:
        super().__init__(channels * pixels, features, bias)
        self.channels = channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.flatten(1))


class ToImage(nn.Linear):
    """A dense layer to whole images."""

    def __init__(self, features: int, channels: int, sides: tuple[int, int], bias: bool = True) -> None:
        super().__init__(features, channels * sides[0] * sides[1], bias)
        self.channels, self.sides = channels, sides

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).unflatten(1, (self.channels, *self.sides))


class BatchNormPerValue(nn.BatchNorm1d):
    """Batch norm with separate statistics for each pixel of each channel."""

    def __init__(self, channels: int, pixels: int, **options: float) -> None:
        super().__init__(channels * pixels, **options)
        self.channels = channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.flatten(1)).view(x.shape)


class SameConv(nn.Conv2d):
    """A convolution with TensorFlow's 'same' padding, which is asymmetric with strides."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        margins = []
        for size, kernel, stride in zip(reversed(x.shape[2:]), self.kernel_size, self.stride, strict=True):
            total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
            margins += [total // 2, total - total // 2]
        return super().forward(nn.functional.pad(x, margins))
