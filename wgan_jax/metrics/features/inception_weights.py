"""Finds, downloads, checks, reads and converts the weights of the Inception network of the Frechet inception distance.

They are the weights that TensorFlow published in inception-2015-12-05.tgz, in PyTorch's layout: the file that pytorch-fid and
torch-fidelity use. Only that file is accepted, byte for byte, because distances are comparable only under the same weights.
"""

import hashlib
import os
from pathlib import Path

import numpy as np

from wgan_jax.disk import only_one, user_cache
from wgan_jax.errors import UserError
from wgan_jax.metrics.features.torch_file import read_state_dict

SHA256 = '6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2'
_SIZE = 95_628_359  # bytes
URLS = (
    'https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth',
    'https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth',
)
_NAMES = tuple(url.split('/')[-1] for url in URLS)
_REMEDY = f'Download {URLS[0]} on a machine with network access, and give the file with --weights=FILE.'
_EPSILON = 1e-3  # of batch norm in the network


def find(path: Path | None) -> Path:
    """Finds the file of weights: the given one, else PyTorch's cache, else our own cache, else a download into our own.

    Our own cache is ~/.cache/wgan_jax, or wgan_jax in XDG_CACHE_HOME. A file in a cache that is not the original is skipped with a
    warning.

    Raises:
      UserError: the given file cannot be read or is not the original, or no file is found and it cannot be downloaded.
    """
    if path is not None:
        _original(path)
        return path
    if (cache := user_cache()) is None:
        raise UserError('This user has no home directory for the Inception weights: set XDG_CACHE_HOME to a directory.')
    torch_home = Path(os.environ.get('TORCH_HOME') or cache / 'torch')
    own = cache / 'wgan_jax' / _NAMES[0]
    for candidate in (*(torch_home / 'hub' / 'checkpoints' / name for name in _NAMES), own):
        problem = _problem(candidate)
        if problem is None:
            return candidate
        if problem:
            print(f'Warning: {problem} It is skipped.')
    _download(own)
    return own


def read(path: Path) -> dict[str, np.ndarray]:
    """The arrays by PyTorch's names, in PyTorch's layout. The SHA-256 of the file is checked before it is parsed.

    Raises:
      UserError: the file cannot be read or is not the original.
    """
    data = _original(path)
    try:
        return read_state_dict(data)
    except ValueError as error:
        raise UserError(f'{path} cannot be read: {error}. {_REMEDY}') from error


def convert(arrays: dict[str, np.ndarray]) -> dict[str, dict]:
    """The variables of inception.Inception from PyTorch's state dict.

    Kernels are transposed from OIHW to HWIO. In inference batch norm only scales and shifts each channel,
    s * (x - mean) + shift with s = scale / sqrt(var + 1e-3): it is merged, in float64, into the kernel and bias of the convolution
    before it. That is the same function with half the layers, and no batch norm is left that could run in training mode.

    Raises:
      ValueError: an array is missing, or belongs neither to a convolution nor to the last layer.
    """
    params: dict = {}
    left = {name for name in arrays if not name.endswith('.num_batches_tracked')}

    def take(name: str) -> np.ndarray:
        if name not in left:
            raise ValueError(f'the weights lack {name}')
        left.remove(name)
        return np.asarray(arrays[name], np.float64)

    for name in sorted(left):
        if name.endswith('.conv.weight'):
            layer = name.removesuffix('.conv.weight')
            scale, shift, mean, var = (take(f'{layer}.bn.{of}') for of in ('weight', 'bias', 'running_mean', 'running_var'))
            scale = scale / np.sqrt(var + _EPSILON)
            kernel = np.transpose(take(name), (2, 3, 1, 0)) * scale
            *blocks, last = layer.split('.')
            within = params
            for block in blocks:
                within = within.setdefault(block, {})
            within[last] = {'kernel': np.float32(kernel), 'bias': np.float32(shift - mean * scale)}
    params['fc'] = {'kernel': np.float32(take('fc.weight').T)}
    take('fc.bias')  # not used: see inception.Inception
    if left:
        raise ValueError(f'the weights have arrays of unknown layers: {", ".join(sorted(left)[:3])}')
    return {'params': params}


def _original(path: Path) -> bytes:
    """The bytes of the file; a UserError if it cannot be read or is not the original."""
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size == _SIZE else b''
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror}). {_REMEDY}') from error
    if size != _SIZE:
        raise UserError(f'{path} has {size:,} bytes, but the Inception weights of 2015-12-05 have {_SIZE:,}. {_REMEDY}')
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise UserError(f'{path} does not have the SHA-256 of the Inception weights of 2015-12-05, {SHA256}. {_REMEDY}')
    return data


def _problem(path: Path) -> str | None:
    """None for the original, a sentence for another file, an empty string if there is no file."""
    if not os.path.isfile(path):
        return ''
    try:
        _original(path)
    except UserError as error:
        return str(error).removesuffix(_REMEDY).strip()
    return None


def _download(path: Path) -> None:
    """Downloads the original to `path`, from the first of URLS that has it. A download that fails leaves nothing behind."""
    reasons = []
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # the compilation cache there must be private
        with only_one(path.parent / 'unfinished_inception', f'is downloading {path}') as file:
            if _problem(path) is None:  # another process has just downloaded it
                return
            for url in URLS:
                print(f'Downloading the Inception weights ({_SIZE / 1e6:.0f} MB) from {url} to {path.parent}.', flush=True)
                data, reason = _fetch(url)
                if data is not None:
                    with open(file.fileno(), 'r+b', closefd=False) as writer:
                        writer.write(data)
                        writer.flush()
                        os.fsync(writer.fileno())
                    os.replace(file.name, path)
                    return
                reasons.append(f'{url.split("/")[3]}: {reason}')
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f'The Inception weights cannot be written to {path.parent} ({reason}). {_REMEDY}') from error
    raise UserError(f'The Inception weights could not be downloaded ({"; ".join(reasons)}). {_REMEDY}')


def _fetch(url: str) -> tuple[bytes | None, str]:
    """Returns (the original, '') or (None, the reason why the address does not give it)."""
    import requests  # slow to import, and seldom needed

    data = bytearray()
    try:
        with requests.get(url, stream=True, timeout=30) as response:
            response.raise_for_status()
            for chunk in response.iter_content(2**20):
                data += chunk
                if len(data) > _SIZE:
                    break
    except requests.exceptions.ChunkedEncodingError:
        return None, 'the connection broke off'
    except (requests.exceptions.ConnectionError, requests.exceptions.Timeout):
        return None, 'no connection'
    except requests.RequestException as error:
        return None, str(error).rstrip('.')
    if hashlib.sha256(data).hexdigest() != SHA256:
        return None, 'the file has a wrong checksum' if len(data) == _SIZE else 'the file has a wrong length'
    return bytes(data), ''
