"""Files in the format of torch.save that would do harm."""

import functools
import io
import os
import pickle
import struct
import sys
import zipfile

import pytest

from tests.metrics.features.pickling import VALUES, inner, items, legacy, o, zipped
from wgan_jax.metrics.features.torch_file import read_state_dict


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


HOSTILE = {
    'os.system': (imported(('os', 'system'), b'(' + o.text('true') + b't'), "names 'os system'"),
    'a dotted name': (imported(('collections', 'OrderedDict.fromkeys')), 'names'),
    'a name that begins alike': (imported(('torch', 'FloatStorage.from_file')), 'names'),
    'INST': (b'\x80\x02(' + o.text('true') + b'ios\nsystem\n.', 'instruction INST'),
    'STACK_GLOBAL': (b'\x80\x04\x8c\x02os\x8c\x06system\x93.', 'instruction SHORT_BINUNICODE'),
    'a called dict': (imported(('collections', 'OrderedDict'), b'(' + o.number(1) + b't'), 'arguments'),
    'attributes of a tensor': (o.state(o.tensor(o.storage()) + b'}b'), 'no dict'),
    'no state dict': (b'\x80\x02N.', 'not a state dict'),
    'a dict in itself': (b'\x80\x02}q\x00' + o.text('w') + b'h\x00s.', 'not a state dict'),
    'dicts in dicts': (items(a=functools.reduce(inner, 'abcdefghi', o.tensor(o.storage()))), 'not a state dict'),
    'a number for a key': (b'\x80\x02}' + o.number(1) + o.tensor(o.storage()) + b's.', 'keys are not strings'),
    'an odd number of items': (b'\x80\x02}(' + o.text('a') + b'u.', 'keys are not strings'),
    'an empty stack': (b'\x80\x02s.', 'needs one'),
    'a mark in the way': (b'\x80\x02}(.', 'needs one'),
    'no mark': (b'\x80\x02}u.', 'mark'),
    'an empty memo': (b'\x80\x02h\x05.', 'memo'),
    'no end': (b'\x80\x02}', 'STOP|end'),
    'an unknown instruction': (b'\x80\x02\xff.', 'opcode'),
    'a long number': (b'\x80\x02\x8b\xff\xff\xff\x7f.', 'long4|enough|expected'),
    'a storage that is no storage': (o.state(o.tensor(o.storage(word='module'))), 'unknown way'),
    'a storage of functions': (o.state(o.tensor(o.storage(kind='_rebuild_tensor_v2', module='torch._utils'))), 'unknown way'),
    'a storage of negative size': (o.state(o.tensor(o.storage(count=-6))), 'unknown way'),
    'a storage that is a view': (o.state(o.tensor(o.storage(end=b'('.join([b'', o.text('a') + b't'])))), 'unknown way'),
    'a storage that leads out': (o.state(o.tensor(o.storage(key='../data.pkl'))), 'missing'),
    'a storage larger than its bytes': (o.state(o.tensor(o.storage(count=7))), 'not have 7 values'),
    'an offset': (o.state(o.tensor(o.storage(), offset=1)), 'beyond'),
    'a negative offset': (o.state(o.tensor(o.storage(), offset=-1)), 'not sizes'),
    'an offset of nothing': (o.state(o.tensor(o.storage(), offset=99, shape=(0,), strides=(1,))), 'beyond'),
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
        ({'protocol': 1002}, 'not a file of torch'),
        ({'facts': {'little_endian': False}}, 'little-endian'),
        ({'keys': ()}, 'missing'),
        ({'keys': ('1',)}, 'list of storages'),
        ({'keys': ('0', '0')}, 'list of storages'),
        ({'storages': struct.pack('<q', 6) + VALUES.tobytes()[:-1]}, 'cut short'),
        ({'storages': struct.pack('<q', -6) + VALUES.tobytes()}, 'has -6'),
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
