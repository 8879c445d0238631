"""Runs torch-fidelity's and pytorch-fid's Inception networks on random weights, for tests/metrics/features/test_inception.py.

    pip install torch torch-fidelity pytorch-fid
    python -m tests.reference.make_inception_fixture

Nothing is downloaded; the weights are those of inception_cases.py. If the two networks disagree, nothing is written. The fixture
has the following results of torch-fidelity, for each image, in float32 (its default):

- a crop of the resized image, and its means over rows and columns
- a sample of the outputs of each of the 94 convolutions, after batch norm and ReLU
- the means of the channels of each block
- all features

It also writes a small state dict in both formats of torch.save, for tests/metrics/features/test_torch_file.py.
"""

import tempfile
import unittest.mock
from pathlib import Path

import numpy as np
import pytorch_fid.inception
import torch
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import BasicConv2d, FeatureExtractorInceptionV3

from tests.reference import inception_cases as cases


def nhwc(tensor: torch.Tensor) -> np.ndarray:
    """[B, C, H, W] -> [B, H, W, C]."""
    return np.ascontiguousarray(tensor.detach().movedim(1, -1).numpy())


def torch_fidelity(state: dict[str, torch.Tensor]) -> FeatureExtractorInceptionV3:
    """The feature extractor, with the given weights instead of the real ones."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / 'weights.pth'
        torch.save(state, path)
        return FeatureExtractorInceptionV3('inception', list(cases.TAPS), str(path))


def shapes_of_the_weights() -> dict[str, tuple[int, ...]]:
    """The shapes of all parameters and statistics, without the counters of batch norm."""
    with unittest.mock.patch.object(FeatureExtractorInceptionV3, 'load_state_dict'), unittest.mock.patch('torch.load'):
        network = FeatureExtractorInceptionV3('inception', ['2048'], 'none')
    return {name: tuple(t.shape) for name, t in network.state_dict().items() if not name.endswith('num_batches_tracked')}


def calibrate(arrays: dict[str, np.ndarray], shapes: dict[str, tuple[int, ...]]) -> np.ndarray:
    """Statistics of batch norm over the images, float16; without them, all images look the same after twenty layers."""
    ones = {name: np.ones(shape, np.float32) for name, shape in shapes.items() if 'running' in name}
    network = torch_fidelity({name: torch.from_numpy(values) for name, values in (arrays | ones).items()})

    def take(layer: nn.BatchNorm2d, arguments: tuple[torch.Tensor]) -> None:
        x = arguments[0].movedim(1, 0).flatten(1)
        layer.running_mean.copy_(x.mean(1).half())
        layer.running_var.copy_(x.var(1).half())

    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.register_forward_pre_hook(take)
    # The images need one size to go through the network together.
    pixels = [torch.from_numpy(image).movedim(-1, 1).float() for image in cases.images()]
    network(torch.cat([nn.functional.interpolate(x, (299, 299)) for x in pixels]).byte())
    state = network.state_dict()
    return np.concatenate([state[name].numpy() for name in ones]).astype(np.float16)


def run(network: FeatureExtractorInceptionV3, image: np.ndarray) -> dict[str, np.ndarray]:
    """The results for one image."""
    kept: dict[str, np.ndarray] = {}
    hooks, samples = [], {}
    for name, layer in network.named_modules():
        if isinstance(layer, BasicConv2d):
            hooks.append(layer.register_forward_hook(lambda _, __, y, name=name: samples.update({name: cases.sample(nhwc(y))})))
        if name.startswith(('Conv', 'Mixed')) and '.' not in name:
            hooks.append(
                layer.register_forward_hook(lambda _, __, y, name=name: kept.update({f'mean/{name}': y.mean((2, 3)).numpy()}))
            )

    def keep_resized(_: nn.Module, arguments: tuple[torch.Tensor]) -> None:
        resized = nhwc(arguments[0])
        kept['resized/crop'] = resized[cases.CROP]
        kept['resized/rows'], kept['resized/columns'] = resized.mean(axis=2), resized.mean(axis=1)
        kept['resized'] = resized

    hooks.append(network.Conv2d_1a_3x3.register_forward_pre_hook(keep_resized))
    outputs = network(torch.from_numpy(image).movedim(-1, 1))
    for hook in hooks:
        hook.remove()
    kept['samples'] = np.stack([samples[name] for name in sorted(samples)], axis=1)
    return kept | {f'tap/{name}': output.numpy() for name, output in zip(cases.TAPS, outputs, strict=True)}


def compare(kept: dict[str, np.ndarray], state: dict[str, torch.Tensor]) -> None:
    """Checks that pytorch-fid's network gives the same features for the same resized image."""
    with unittest.mock.patch.object(pytorch_fid.inception, 'load_state_dict_from_url', return_value=state):
        network = pytorch_fid.inception.InceptionV3([0, 1, 2, 3], resize_input=False, normalize_input=False).eval()
    with torch.no_grad():
        outputs = network(torch.from_numpy(kept['resized']).movedim(-1, 1))
    for name, output in zip(('64', '192', '768', '2048'), outputs, strict=True):
        mean = output.mean((2, 3)).numpy()
        np.testing.assert_allclose(mean, kept[f'tap/{name}'], rtol=0, atol=1e-4 * np.abs(mean).max())


def save_state_dicts() -> None:
    """Saves a state dict with an array that is not contiguous in both formats of torch.save."""
    module = nn.Sequential(nn.Conv2d(2, 3, (1, 2)), nn.BatchNorm2d(3))
    state = module.state_dict()
    for i, values in enumerate(state.values()):
        values.copy_(torch.arange(values.numel()).reshape(values.shape) + 100 * i)
    shared = torch.arange(24, dtype=torch.float64).reshape(4, 6)
    state['part'], state['other_part'] = nn.Parameter(shared[1:, ::2].T), shared[0]
    for name, zipped in {'legacy': False, 'zip': True}.items():
        path = cases.FIXTURE.parent / f'state_dict_{name}.pth'
        torch.save(state, path, _use_new_zipfile_serialization=zipped)
        print(f'{path.name}: {path.stat().st_size} bytes')


def main() -> None:
    """Writes the fixtures."""
    torch.set_num_threads(1)
    save_state_dicts()
    shapes = shapes_of_the_weights()
    arrays = cases.weights(shapes)
    statistics = calibrate(arrays, shapes)
    arrays |= cases.statistics(shapes, statistics)
    state = {name: torch.from_numpy(values) for name, values in arrays.items()}
    network, double = torch_fidelity(state), torch_fidelity(state).double()
    double.feature_extractor_internal_dtype = torch.float64  # the option 'float64' means float32 in torch-fidelity 0.4
    of_images: list[dict[str, np.ndarray]] = []
    for image in cases.images():
        kept, exact = run(network, image), run(double, image)
        compare(kept, state)
        of_images.append(kept)
        for name in [name for name in kept if name.startswith(('mean', 'tap', 'samples', 'resized/crop'))]:
            scale = np.abs(exact[name]).max()
            error = np.abs(kept[name] - exact[name]).max() / scale
            print(
                f'{name:24} largest {scale:7.3f}, deviation {exact[name].std():7.3f}, float32 differs by {error:.1e} of the largest'
            )
    result = {name: np.concatenate([kept[name] for kept in of_images]) for name in of_images[0] if name != 'resized'}
    result['statistics'] = statistics
    result['names'] = np.array([f'{name} {" ".join(map(str, shape))}' for name, shape in shapes.items()])
    result['checksum'] = np.array(cases.checksum(arrays))
    np.savez_compressed(cases.FIXTURE, **result)
    print(f'{cases.FIXTURE.name}: {cases.FIXTURE.stat().st_size / 1e3:.0f} kB')


if __name__ == '__main__':
    main()
