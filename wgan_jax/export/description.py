"""The JSON file beside an exported network: what goes in, what comes out, where it comes from, and how to load it."""

import hashlib
from typing import Any

from jax import export

from wgan_jax.data.source import is_plane, is_points
from wgan_jax.runs.files import versions

FORMAT = 1
_LOGITS = 'high for real images; they are logits: the sigmoid of a score is the estimated probability that its image is real'
_DIFFERENCES = 'high for real images; only differences between scores of the same critic have a meaning'


def describe_generator(exported: export.Exported, content: bytes, file: str, facts: dict[str, Any]) -> dict[str, Any]:
    """The content of generator.json, for people and for stablehlo.load.

    Args:
      exported: the generator.
      content: its serialised form, in the file.
      file: name of the file.
      facts: about the run.
    """
    latents, images = exported.in_avals[0], exported.out_avals[0]
    call = [
        f"generator = jax.export.deserialize(open('{file}', 'rb').read())",
        f"images = generator.call(numpy.random.default_rng(0).standard_normal((16, {latents.shape[1]}), 'float32'))",
    ]
    inputs = {**kind(latents), 'name': 'latents', 'distribution': 'each entry standard normal, independent'}
    return _description('generator', exported, content, file, facts, inputs, _images(images), call)


def describe_critic(exported: export.Exported, content: bytes, file: str, facts: dict[str, Any], *, logits: bool) -> dict[str, Any]:
    """The content of critic.json; `logits` says whether the critic is that of a GAN, and the rest is that of describe_generator."""
    images, scores = exported.in_avals[0], exported.out_avals[0]
    inputs = _images(images)
    call = [
        f"critic = jax.export.deserialize(open('{file}', 'rb').read())",
        f"{inputs['name']} = numpy.random.default_rng(0).uniform(-1, 1, {(16, *images.shape[1:])}).astype('float32')",
        f'scores = critic.call({inputs["name"]})',
    ]
    outputs = {**kind(scores), 'name': 'scores', 'meaning': _LOGITS if logits else _DIFFERENCES}
    return _description('critic', exported, content, file, facts, inputs, outputs, call)


def kind(aval: Any) -> dict[str, Any]:
    """The shape of an input or output, with names for what is open, and its type."""
    return {'shape': [size if isinstance(size, int) else str(size) for size in aval.shape], 'dtype': aval.dtype.name}


def _images(aval: Any) -> dict[str, Any]:
    if is_points(aval.shape[1:]):
        coordinates = '(x, y)' if is_plane(aval.shape[1:]) else 'coordinates'
        return {**kind(aval), 'name': 'points', 'layout': f'[batch, 1, 1, {coordinates}]'}
    return {**kind(aval), 'name': 'images', 'layout': 'NHWC', 'range': [-1, 1]}


def _description(
    player: str,
    exported: export.Exported,
    content: bytes,
    file: str,
    facts: dict[str, Any],
    inputs: dict[str, Any],
    outputs: dict[str, Any],
    call: list[str],
) -> dict[str, Any]:
    return {
        'format': FORMAT,
        'player': player,
        'file': file,
        'sha256': hashlib.sha256(content).hexdigest(),
        'input': inputs,
        'output': outputs,
        'platforms': list(exported.platforms),
        'calling_convention_version': exported.calling_convention_version,
        **facts,
        'versions': versions(),
        'load': ['import jax.export, numpy  # and pip install flatbuffers', *call],
    }
