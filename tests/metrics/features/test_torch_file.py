"""State dicts that torch.save wrote (make_inception_fixture.py), and hostile files made by hand."""

import contextlib
import functools
import io
import os
import pickle
import struct
import sys
import zipfile

import ml_dtypes
import numpy as np
import pytest

from tests.reference.inception_cases import FIXTURE
from wgan_jax.metrics.features.torch_file import read_state_dict

LEGACY = (FIXTURE.parent / 'state_dict_legacy.pth').read_bytes()
ZIP = (FIXTURE.parent / 'state_dict_zip.pth').read_bytes()
FACTS = {'protocol_version': 1001, 'little_endian': True, 'type_sizes': {}}


class Opcodes:
    """Writes a pickle instruction by instruction."""

    @staticmethod
    def name(module, attribute):
        return b'c' + f'{module}\n{attribute}\n'.encode()

    @staticmethod
    def text(value):
        return b'X' + struct.pack('<I', len(value.encode())) + value.encode()

    @staticmethod
    def number(value):
        size = value.bit_length() // 8 + 1
        return b'\x8a' + bytes([size]) + value.to_bytes(size, 'little', signed=True)

    @classmethod
    def numbers(cls, values):
        return b'(' + b''.join(map(cls.number, values)) + b't'

    @classmethod
    def storage(cls, kind='FloatStorage', key='0', count=6, end=b'', module='torch', word='storage'):
        return b'(' + cls.text(word) + cls.name(module, kind) + cls.text(key) + cls.text('cpu') + cls.number(count) + end + b'tQ'

    @classmethod
    def tensor(cls, storage, offset=0, shape=(2, 3), strides=(3, 1), function=('torch._utils', '_rebuild_tensor_v2')):
        rest = b'\x89' + cls.name('collections', 'OrderedDict') + b')R'
        parts = cls.number(offset) + cls.numbers(shape) + cls.numbers(strides)
        return cls.name(*function) + b'(' + storage + parts + rest + b'tR'

    @classmethod
    def state(cls, value, key='w'):
        return b'\x80\x02}' + cls.text(key) + value + b's.'


o = Opcodes
VALUES = np.arange(6, dtype='<f4')


def zipped(pickled, storages=None, **extra):
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as archive:
        archive.writestr('top/data.pkl', pickled)
        for key, content in ({'0': VALUES.tobytes()} if storages is None else storages).items():
            archive.writestr(f'top/data/{key}', content)
        for name, content in extra.items():
            archive.writestr(f'top/{name}', content)
    return file.getvalue()


def legacy(pickled, keys=('0',), facts=FACTS, magic=0x1950A86A20F9469CFC6C, protocol=1001, storages=None):
    head = b''.join(pickle.dumps(value, 2) for value in (magic, protocol, facts))
    storages = struct.pack('<q', 6) + VALUES.tobytes() if storages is None else storages
    return head + pickled + pickle.dumps(list(keys), 2) + storages


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


@pytest.mark.parametrize(
    ('kind', 'dtype'),
    [
        ('HalfStorage', np.float16),
        ('BFloat16Storage', ml_dtypes.bfloat16),
        ('IntStorage', np.int32),
        ('ShortStorage', np.int16),
        ('CharStorage', np.int8),
        ('ByteStorage', np.uint8),
        ('BoolStorage', np.bool_),
    ],
)
def test_every_type_of_number_is_read(kind, dtype):
    values = np.arange(6).astype(dtype)
    array = read_state_dict(zipped(o.state(o.tensor(o.storage(kind=kind))), {'0': values.tobytes()}))['w']
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, values.reshape(2, 3))


def inner(value, key='w'):
    """A dict with one item, without the beginning and the end of a pickle."""
    return b'}' + o.text(key) + value + b's'


def test_dicts_of_state_dicts_are_read():
    part = o.tensor(o.storage(), offset=1, shape=(2,), strides=(3,))
    arrays = read_state_dict(zipped(o.state(inner(inner(part), 'layer'), 'model')))
    assert list(arrays) == ['model.layer.w']
    np.testing.assert_array_equal(arrays['model.layer.w'], [1, 4])


class Evil:
    """Makes a directory when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize('protocol', range(6))
@pytest.mark.parametrize('make', [zipped, legacy, lambda pickled: pickled])
def test_a_pickle_that_calls_a_function_is_refused_and_calls_nothing(make, protocol, tmp_path):
    for number, wrap in enumerate([lambda evil: evil, lambda evil: {'w': evil}, lambda evil: [evil]]):
        target = tmp_path / str(number)
        pickled = pickle.dumps(wrap(Evil(str(target))), protocol)
        with pytest.raises(ValueError, match=r'names|instruction|file of torch'):
            read_state_dict(make(pickled))
        assert not target.exists()
        pickle.loads(pickled)
        assert target.exists(), 'the file is harmless'


def test_harm_in_any_of_the_pickles_of_the_older_format_is_refused(tmp_path):
    evil, state = Evil(str(tmp_path / 'made')), o.state(o.tensor(o.storage(end=b'N')))
    for options in ({'magic': evil}, {'protocol': evil}, {'facts': evil}, {'facts': {'little_endian': evil}}, {'keys': [evil]}):
        with pytest.raises(ValueError, match='names'):
            read_state_dict(legacy(state, **options))
    assert not (tmp_path / 'made').exists()


def imported(name, arguments=b')'):
    return b'\x80\x02' + o.name(*name) + arguments + b'R.'


def items(**values):
    return b'\x80\x02}(' + b''.join(o.text(key) + value for key, value in values.items()) + b'u.'


HOSTILE = {
    'os.system': (imported(('os', 'system'), b'(' + o.text('true') + b't'), "names 'os system'"),
    'posix.system': (imported(('posix', 'system'), b'(' + o.text('true') + b't'), "names 'posix system'"),
    'builtins.eval': (imported(('builtins', 'eval'), b'(' + o.text('1') + b't'), 'names'),
    'getattr': (imported(('builtins', 'getattr')), 'names'),
    'collections.abc': (imported(('collections', 'namedtuple')), 'names'),
    'a dotted name': (imported(('collections', 'OrderedDict.fromkeys')), 'names'),
    'another of torch': (imported(('torch.hub', 'load')), 'names'),
    'a name that begins alike': (imported(('torch', 'FloatStorage.from_file')), 'names'),
    'INST': (b'\x80\x02(' + o.text('true') + b'ios\nsystem\n.', 'instruction INST'),
    'OBJ': (b'\x80\x02(' + o.name('collections', 'OrderedDict') + b'o.', 'instruction OBJ'),
    'NEWOBJ': (b'\x80\x02' + o.name('collections', 'OrderedDict') + b')\x81.', 'instruction NEWOBJ'),
    'STACK_GLOBAL': (b'\x80\x04\x8c\x02os\x8c\x06system\x93.', 'instruction SHORT_BINUNICODE'),
    'EXT1': (b'\x80\x02\x82\x01.', 'instruction EXT1'),
    'PERSID': (b'\x80\x02Pname\n.', 'instruction PERSID'),
    'a called dict': (imported(('collections', 'OrderedDict'), b'(' + o.number(1) + b't'), 'arguments'),
    'a called storage': (imported(('torch', 'FloatStorage')), 'arguments'),
    'attributes of a name': (b'\x80\x02' + o.name('torch', 'FloatStorage') + b'}b.', 'no dict'),
    'attributes of a tensor': (o.state(o.tensor(o.storage()) + b'}b'), 'no dict'),
    'no state dict': (b'\x80\x02N.', 'not a state dict'),
    'a text for a tensor': (o.state(o.text('a')), 'not a state dict'),
    'a dict in itself': (b'\x80\x02}q\x00' + o.text('w') + b'h\x00s.', 'not a state dict'),
    'a dict in two places': (items(a=inner(o.tensor(o.storage())) + b'q\x00', b=b'h\x00'), 'not a state dict'),
    'dicts in dicts': (items(a=functools.reduce(inner, 'abcdefghi', o.tensor(o.storage()))), 'not a state dict'),
    'two tensors of one name': (items(**{'a.w': o.tensor(o.storage()), 'a': inner(o.tensor(o.storage()))}), 'with the name'),
    'a number for a key': (b'\x80\x02}' + o.number(1) + o.tensor(o.storage()) + b's.', 'keys are not strings'),
    'an odd number of items': (b'\x80\x02}(' + o.text('a') + b'u.', 'keys are not strings'),
    'an empty stack': (b'\x80\x02s.', 'needs one'),
    'a mark in the way': (b'\x80\x02}(.', 'needs one'),
    'no mark': (b'\x80\x02}u.', 'mark'),
    'an empty memo': (b'\x80\x02h\x05.', 'memo'),
    'no end': (b'\x80\x02}', 'STOP|end'),
    'nothing': (b'', 'STOP|end'),
    'an unknown instruction': (b'\x80\x02\xff.', 'opcode'),
    'a long number': (b'\x80\x02\x8b\xff\xff\xff\x7f.', 'long4|enough|expected'),
    'a storage that is no storage': (o.state(o.tensor(o.storage(word='module'))), 'unknown way'),
    'a storage of functions': (o.state(o.tensor(o.storage(kind='_rebuild_tensor_v2', module='torch._utils'))), 'unknown way'),
    'a storage of unknown type': (o.state(o.tensor(o.storage(kind='QInt8Storage'))), 'names'),
    'a storage of negative size': (o.state(o.tensor(o.storage(count=-6))), 'unknown way'),
    'a storage that is a view': (o.state(o.tensor(o.storage(end=b'('.join([b'', o.text('a') + b't'])))), 'unknown way'),
    'a storage that is missing': (o.state(o.tensor(o.storage(key='1'))), 'missing'),
    'a storage that leads out': (o.state(o.tensor(o.storage(key='../data.pkl'))), 'missing'),
    'a storage larger than its bytes': (o.state(o.tensor(o.storage(count=7))), 'not have 7 values'),
    'a storage of wider values': (o.state(o.tensor(o.storage(kind='DoubleStorage'))), 'not have 6 values'),
    'an offset': (o.state(o.tensor(o.storage(), offset=1)), 'beyond'),
    'a negative offset': (o.state(o.tensor(o.storage(), offset=-1)), 'not sizes'),
    'an offset of nothing': (o.state(o.tensor(o.storage(), offset=99, shape=(0,), strides=(1,))), 'beyond'),
    'a shape': (o.state(o.tensor(o.storage(), shape=(3, 3))), 'beyond'),
    'a negative shape': (o.state(o.tensor(o.storage(), shape=(-2, -3))), 'not sizes'),
    'an endless shape': (o.state(o.tensor(o.storage(), shape=(2**40, 2**40))), 'beyond'),
    'a shape that is no size': (o.state(o.tensor(o.storage(), shape=(2**64, 0))), 'not sizes'),
    'many axes': (o.state(o.tensor(o.storage(), shape=(1,) * 40, strides=(1,) * 40)), 'not sizes'),
    'strides': (o.state(o.tensor(o.storage(), strides=(3, 2))), 'beyond'),
    'negative strides': (o.state(o.tensor(o.storage(), strides=(-3, -1))), 'not sizes'),
    'few strides': (o.state(o.tensor(o.storage(), strides=(1,))), 'not sizes'),
    'a value repeated without end': (o.state(o.tensor(o.storage(), shape=(2**40,), strides=(0,))), 'beyond'),
    'a function for a tensor': (o.state(o.tensor(o.storage(), function=('collections', 'OrderedDict'))), 'arguments'),
    'a parameter of nothing': (imported(('torch._utils', '_rebuild_parameter')), 'arguments'),
}


@pytest.mark.parametrize('name', HOSTILE)
def test_hostile_files_are_refused(name):
    pickled, message = HOSTILE[name]
    before = set(sys.modules)
    with pytest.raises(ValueError, match=message):
        read_state_dict(zipped(pickled))
    assert set(sys.modules) == before


def test_a_deep_pickle_does_not_end_the_process():
    for pickled in (b'\x80\x02' + b'(' * 20_000 + b't' * 20_000 + b'.', o.state(b')' + b'\x85' * 20_000)):
        with pytest.raises(ValueError, match='not a state dict'):
            read_state_dict(zipped(pickled))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'magic': 1}, 'not a file of torch'),
        ({'protocol': 1002}, 'not a file of torch'),
        ({'facts': {'little_endian': False}}, 'little-endian'),
        ({'facts': 1}, 'little-endian'),
        ({'keys': ()}, 'missing'),
        ({'keys': ('1',)}, 'list of storages'),
        ({'keys': ('0', '0')}, 'list of storages'),
        ({'keys': (None,)}, 'list of storages'),
        ({'storages': b''}, 'cut short'),
        ({'storages': struct.pack('<q', 6) + VALUES.tobytes()[:-1]}, 'cut short'),
        ({'storages': struct.pack('<q', -6) + VALUES.tobytes()}, 'has -6'),
        ({'storages': struct.pack('<q', 2**62) + VALUES.tobytes()}, 'should have 6'),
    ],
)
def test_a_damaged_file_of_the_older_format_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        read_state_dict(legacy(o.state(o.tensor(o.storage(end=b'N'))), **options))


def test_two_descriptions_of_one_storage_are_refused():
    for other in (o.storage(kind='LongStorage', count=3), o.storage(count=3)):
        pickled = items(a=o.tensor(o.storage()), b=o.tensor(other, shape=(1,), strides=(1,)))
        with pytest.raises(ValueError, match='unknown way'):
            read_state_dict(zipped(pickled))


def test_other_archives_are_refused():
    state = o.state(o.tensor(o.storage()))
    for data in (zipped(state, byteorder='big'), zipped(state).replace(b'data.pkl', b'data.txt')):
        with pytest.raises(ValueError, match=r'no data\.pkl'):
            read_state_dict(data)
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as archive:  # may unpack to any size
        archive.writestr('top/data.pkl', state)
        archive.writestr('top/data/0', bytes(10**7))
    with pytest.raises(ValueError, match='larger than the file'):
        read_state_dict(file.getvalue())


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
