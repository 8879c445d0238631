"""Images and random weights on which the Inception network is compared with torch-fidelity's.

The 24 million weights are not stored. They are drawn wherever they are needed, with seeds from their names.
"""

import zlib
from pathlib import Path

import numpy as np

FIXTURE = Path(__file__).parent / 'fixtures' / 'inception.npz'
SHAPES = ((28, 28), (45, 37), (320, 300))  # of images that are enlarged; are not square; are reduced in one direction only
TAPS = ('64', '192', '768', '2048', 'logits_unbiased', 'logits')
CROP = np.s_[:, 130:146, 280:299]  # of the resized images; includes the right edge, where there is no next pixel
SAMPLE = 24  # values of each convolution in the fixture


def images() -> list[np.ndarray]:
    """uint8 [1, H, W, 3] each: a smooth pattern that differs by channel and direction, with noise."""
    drawn = []
    for seed, (height, width) in enumerate(SHAPES):
        draw = np.random.default_rng(seed)
        y, x = np.arange(height)[:, None, None] / height, np.arange(width)[None, :, None] / width
        phase, waves = 7 * draw.random(3), 1 + 5 * draw.random((2, 3))
        pattern = (
            128 + 70 * np.sin(6 * waves[0] * y + phase) * np.cos(6 * waves[1] * x) + 90 * (draw.random((height, width, 3)) - 0.5)
        )
        drawn.append(np.clip(np.rint(pattern), 0, 255).astype(np.uint8)[None])
    return drawn


def weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Arrays by PyTorch's names, without the statistics of batch norm, which are in the fixture.

    Kernels have mean 0 per filter and variance 2 / fan-in (He et al. 2015); scales and shifts differ by channel. Shifts are
    positive: if ReLUs cut off half of their inputs, rounding errors grow to a thousandth on the way through the network.
    """
    arrays = {}
    for name, shape in shapes.items():
        uniform = np.random.default_rng(zlib.crc32(name.encode())).random(shape) * 2 - 1
        if name.endswith('conv.weight'):
            uniform -= uniform.mean(axis=(1, 2, 3), keepdims=True)
            uniform *= np.sqrt(2 / np.prod(shape[1:])) / uniform.std(axis=(1, 2, 3), keepdims=True)
        elif name == 'fc.weight':
            uniform *= np.sqrt(3 / shape[1])
        elif name.endswith('bn.weight'):
            uniform = 1 + 0.5 * uniform
        elif name.endswith('bn.bias'):
            uniform = 0.8 + 0.4 * uniform
        elif name == 'fc.bias':
            uniform *= 0.5
        else:
            continue
        arrays[name] = uniform.astype(np.float32)
    return arrays


def statistics(shapes: dict[str, tuple[int, ...]], values: np.ndarray) -> dict[str, np.ndarray]:
    """The running means and variances, which keep activations of order 1; the fixture has them joined in one array."""
    names = [name for name in shapes if name.endswith(('running_mean', 'running_var'))]
    parts = np.split(values.astype(np.float32), np.cumsum([shapes[name][0] for name in names])[:-1])
    return dict(zip(names, parts, strict=True))


def checksum(arrays: dict[str, np.ndarray]) -> int:
    """crc32 of all values in the order of their names; it differs if another numpy draws other weights."""
    result = 0
    for name in sorted(arrays):
        result = zlib.crc32(np.ascontiguousarray(arrays[name]), result)
    return result


def sample(output: np.ndarray) -> np.ndarray:
    """[B, H, W, C] -> [B, SAMPLE], values spread over height, width and channels."""
    values = output.reshape(len(output), -1)
    return values[:, np.linspace(0, values.shape[1] - 1, SAMPLE).astype(int)]
