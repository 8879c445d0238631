"""State dicts that torch.save wrote (make_inception_fixture.py) or that were made by hand."""

import contextlib

import ml_dtypes
import numpy as np
import pytest

from tests.metrics.features.pickling import VALUES, inner, legacy, o, zipped
from tests.reference.inception_cases import FIXTURE
from wgan_jax.metrics.features.torch_file import read_state_dict

LEGACY = (FIXTURE.parent / 'state_dict_legacy.pth').read_bytes()
ZIP = (FIXTURE.parent / 'state_dict_zip.pth').read_bytes()


@pytest.mark.parametrize('data', [LEGACY, ZIP], ids=['legacy', 'zip'])
def test_a_file_of_torch_is_read(data):
    """Tensor i holds 100 i, 100 i + 1, ...; two tensors are parts of one storage, one of them transposed."""
    arrays = read_state_dict(data)
    shapes = {
        '0.weight': (3, 2, 1, 2),
        '0.bias': (3,),
        **{f'1.{name}': (3,) for name in ('weight', 'bias', 'running_mean', 'running_var')},
        '1.num_batches_tracked': (),
    }
    assert list(arrays) == [*shapes, 'part', 'other_part']
    for i, (name, shape) in enumerate(shapes.items()):
        np.testing.assert_array_equal(arrays[name], np.arange(np.prod(shape)).reshape(shape) + 100 * i)
        assert arrays[name].dtype == (np.int64 if name.endswith('tracked') else np.float32)
    shared = np.arange(24, dtype=np.float64).reshape(4, 6)
    np.testing.assert_array_equal(arrays['part'], shared[1:, ::2].T)
    np.testing.assert_array_equal(arrays['other_part'], shared[0])
    assert not arrays['part'].flags.writeable


def test_files_made_by_hand_are_read():
    """The hostile files below differ from these in one place."""
    for data in (zipped(o.state(o.tensor(o.storage()))), legacy(o.state(o.tensor(o.storage(end=b'N'))))):
        np.testing.assert_array_equal(read_state_dict(data)['w'], VALUES.reshape(2, 3))


@pytest.mark.parametrize(('kind', 'dtype'), [('HalfStorage', np.float16), ('BFloat16Storage', ml_dtypes.bfloat16)])
def test_half_precision_is_read(kind, dtype):
    values = np.arange(6).astype(dtype)
    array = read_state_dict(zipped(o.state(o.tensor(o.storage(kind=kind))), {'0': values.tobytes()}))['w']
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, values.reshape(2, 3))


def test_dicts_of_state_dicts_are_read():
    part = o.tensor(o.storage(), offset=1, shape=(2,), strides=(3,))
    arrays = read_state_dict(zipped(o.state(inner(inner(part), 'layer'), 'model')))
    assert list(arrays) == ['model.layer.w']
    np.testing.assert_array_equal(arrays['model.layer.w'], [1, 4])


@pytest.mark.parametrize('data', [LEGACY, ZIP], ids=['legacy', 'zip'])
def test_damage_anywhere_raises_no_other_error(data):
    """A changed byte may go unnoticed (the SHA-256 is checked first), but raises nothing else than ValueError."""
    draw = np.random.default_rng(0)
    for _ in range(600):
        damaged = bytearray(data)
        for position in draw.integers(0, len(data), draw.integers(1, 4)):
            damaged[position] = draw.integers(0, 256)
        damaged = bytes(damaged[: draw.integers(1, len(data))] if draw.random() < 0.3 else damaged)
        with contextlib.suppress(ValueError):
            read_state_dict(damaged)
