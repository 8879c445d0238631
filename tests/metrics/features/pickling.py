"""Files of torch.save made by hand, instruction by instruction."""

import io
import pickle
import struct
import zipfile

import numpy as np

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


def inner(value, key='w'):
    """A dict with one item, without the beginning and the end of a pickle."""
    return b'}' + o.text(key) + value + b's'


def items(**values):
    return b'\x80\x02}(' + b''.join(o.text(key) + value for key, value in values.items()) + b'u.'
