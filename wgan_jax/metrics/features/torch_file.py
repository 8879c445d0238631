"""Reads the arrays of a PyTorch state dict, from either format of torch.save, without PyTorch and without running anything.

Such a file holds a pickle, which is a program that may call any function. Here `pickletools.genops` splits it into instructions,
and the few that a state dict needs are interpreted: they make dicts, lists, tuples, strings, numbers and descriptions of tensors.
`pickle.Unpickler` with a restricted `find_class` would be shorter, but a file of nine bytes makes it allocate gigabytes.
"""

import io
import math
import pickletools
import zipfile
from collections.abc import Iterator
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

_MAGIC_NUMBER, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # at the start of the older format; torch/serialization.py
_NUMPY = {'Float': '<f4', 'Double': '<f8', 'Half': '<f2', 'BFloat16': ml_dtypes.bfloat16, 'Long': '<i8'}
_TYPES = {f'torch {name}Storage': np.dtype(dtype) for name, dtype in _NUMPY.items()}
_ORDERED_DICT = 'collections OrderedDict'
_REBUILD_TENSOR, _REBUILD_PARAMETER = 'torch._utils _rebuild_tensor_v2', 'torch._utils _rebuild_parameter'
_MARK = object()
_DEEPEST = 8  # dicts in dicts


class _Name(NamedTuple):  # of a class or function, which is not looked up
    text: str


class _Storage(NamedTuple):
    dtype: np.dtype
    key: str
    count: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int  # this and the strides in values, not bytes
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_state_dict(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of a state dict by name, read-only views of `data` where possible.

    Args:
      data: a file that torch.save wrote: a dict of tensors of float16, bfloat16, float32, float64 or int64. In a dict of such
        dicts, a name is 'model.layer.weight'.

    Raises:
      ValueError: the file has another format, is damaged, contains anything that a state dict does not need, or has a tensor that
        reaches beyond its storage.
    """
    tree, storages = _read_zip(data) if data.startswith(b'PK\x03\x04') else _read_legacy(data)
    return {name: _array(name, tensor, storages) for name, tensor in _tensors(tree, (), set())}


def _tensors(tree: Any, path: tuple[str, ...], seen: set[int]) -> Iterator[tuple[str, _Tensor]]:
    # A dict that appears in several places, or in itself, would let a small file describe any number of tensors.
    if not isinstance(tree, dict) or id(tree) in seen or len(path) > _DEEPEST:
        raise ValueError('it is not a state dict: a dict of tensors by name')
    seen.add(id(tree))
    for key, value in tree.items():
        if isinstance(value, _Tensor):
            yield '.'.join((*path, key)), value
        else:
            yield from _tensors(value, (*path, key), seen)


def _read_legacy(data: bytes) -> tuple[Any, dict[str, memoryview]]:
    """Four pickles (a number, a number, facts about the machine, the object), one of keys, then the storage of each key."""
    file = io.BytesIO(data)
    if _unpickle(file) != _MAGIC_NUMBER or _unpickle(file) != _PROTOCOL:
        raise ValueError('it is not a file of torch.save')
    facts = _unpickle(file)
    if not isinstance(facts, dict) or facts.get('little_endian') is not True:
        raise ValueError('it does not say that its numbers are little-endian')
    used: dict[str, _Storage] = {}
    result, keys = _unpickle(file, used), _unpickle(file)
    if not isinstance(keys, list) or not all(isinstance(key, str) and key in used for key in keys) or len(set(keys)) < len(keys):
        raise ValueError('its list of storages does not match its tensors')
    storages = {}
    for key in keys:
        count = int.from_bytes(file.read(8), 'little', signed=True)
        start, size = file.tell(), used[key].count * used[key].dtype.itemsize
        if count != used[key].count or start + size > len(data):
            raise ValueError(f'storage {key} should have {used[key].count} values, but has {count} or is cut short')
        storages[key] = memoryview(data)[start : start + size]
        file.seek(size, io.SEEK_CUR)
    return result, storages


def _read_zip(data: bytes) -> tuple[Any, dict[str, bytes]]:
    """An archive without compression: TOP/data.pkl, and TOP/data/KEY for each storage."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(info.file_size for info in archive.infolist()) > len(data):
                raise ValueError('its members are larger than the file')
            members = {info.filename: archive.read(info) for info in archive.infolist() if info.compress_type == zipfile.ZIP_STORED}
    except Exception as error:  # zipfile raises many kinds
        raise ValueError(f'its archive is damaged ({error or type(error).__name__})') from error
    top = next((name.removesuffix('data.pkl') for name in members if name.endswith('/data.pkl')), None)
    if top is None or members.get(f'{top}byteorder', b'little') != b'little':
        raise ValueError('it has no data.pkl, or its numbers are not little-endian')
    storages = {name.removeprefix(f'{top}data/'): content for name, content in members.items() if name.startswith(f'{top}data/')}
    return _unpickle(io.BytesIO(members[f'{top}data.pkl'])), storages


def _array(name: str, tensor: _Tensor, storages: dict[str, Any]) -> np.ndarray:
    (dtype, key, count), offset, shape, strides = tensor
    if len(shape) > 32 or len(strides) != len(shape) or not all(map(_is_size, (offset, *shape, *strides))):
        raise ValueError(f'{name} has an offset, shape or strides that are not sizes')
    size = math.prod(shape)
    end = offset + (1 + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True)) if size else 0)
    # The first condition also refuses views that repeat values, whose size has no bound.
    if size > count or end > count:
        raise ValueError(f'{name} reaches beyond its storage of {count} values')
    if key not in storages or len(storages[key]) != count * dtype.itemsize:
        raise ValueError(f'{name} has a storage that is missing or does not have {count} values')
    return np.ndarray(shape, dtype, storages[key], offset * dtype.itemsize, [stride * dtype.itemsize for stride in strides])


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _unpickle(file: io.BytesIO, used: dict[str, _Storage] | None = None) -> Any:
    """The object of the pickle at the position of the file, which moves to its end; `used` collects the storages it names."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    used = {} if used is None else used

    def pop(expected: type = object) -> Any:
        if not stack or stack[-1] is _MARK or expected not in (object, type(stack[-1])):
            raise ValueError(f'its pickle has no {expected.__name__} where it needs one')
        return stack.pop()

    def pop_to_mark() -> list[Any]:
        items = []
        while not items or items[-1] is not _MARK:
            if not stack:
                raise ValueError('its pickle lacks a mark')
            items.append(stack.pop())
        return items[-2::-1]

    for instruction, argument, _ in pickletools.genops(file):
        match instruction.name:
            case 'PROTO':
                pass
            case 'STOP':
                return pop()
            case 'MARK':
                stack.append(_MARK)
            case 'BINPUT' | 'LONG_BINPUT':
                stack.append(pop())
                memo[argument] = stack[-1]
            case 'BINGET' | 'LONG_BINGET':
                if argument not in memo:
                    raise ValueError('its pickle reads an entry of its memo that it has not written')
                stack.append(memo[argument])
            case 'BININT' | 'BININT1' | 'BININT2' | 'LONG1' | 'BINUNICODE' | 'NONE':
                stack.append(argument)
            case 'NEWTRUE' | 'NEWFALSE' | 'EMPTY_DICT' | 'EMPTY_LIST' | 'EMPTY_TUPLE' as name:
                stack.append({'NEWTRUE': True, 'NEWFALSE': False, 'EMPTY_DICT': {}, 'EMPTY_LIST': [], 'EMPTY_TUPLE': ()}[name])
            case 'TUPLE':
                stack.append(tuple(pop_to_mark()))
            case 'TUPLE1' | 'TUPLE2' | 'TUPLE3':
                stack.append(tuple([pop() for _ in range(int(instruction.name[-1]))][::-1]))
            case 'APPEND' | 'APPENDS':
                items = pop_to_mark() if instruction.name == 'APPENDS' else [pop()]
                stack.append(pop(list))
                stack[-1].extend(items)
            case 'SETITEM' | 'SETITEMS':
                items = pop_to_mark() if instruction.name == 'SETITEMS' else [pop(), pop()][::-1]
                if len(items) % 2 or not all(isinstance(key, str) for key in items[::2]):
                    raise ValueError('its pickle has a dict whose keys are not strings')
                stack.append(pop(dict))
                stack[-1].update(zip(items[::2], items[1::2], strict=True))
            case 'BUILD':  # attributes of an OrderedDict, where a state dict keeps the versions of its modules
                pop(dict)
                stack.append(pop(dict))
            case 'GLOBAL':
                if argument not in (_ORDERED_DICT, _REBUILD_TENSOR, _REBUILD_PARAMETER, *_TYPES):
                    raise ValueError(f'it names {argument[:99]!r}, which no state dict needs')
                stack.append(_Name(argument))
            case 'BINPERSID':
                stack.append(_storage(pop(tuple), used))
            case 'REDUCE':
                arguments = pop(tuple)
                stack.append(_call(pop(_Name), arguments))
            case other:
                raise ValueError(f'its pickle has the instruction {other}, which no state dict needs')
    raise ValueError('its pickle has no end')


def _storage(description: tuple[Any, ...], used: dict[str, _Storage]) -> _Storage:
    """('storage', type, key, device, number of values), and in the older format None at the end."""
    match description:
        case ('storage', _Name(text), str(key), str(_), count, *none) if (
            text in _TYPES and _is_size(count) and none in ([], [None])
        ):
            storage = _Storage(_TYPES[text], key, count)
            if used.setdefault(key, storage) == storage:
                return storage
    raise ValueError('its pickle describes a storage in an unknown way')


def _call(name: _Name, arguments: tuple[Any, ...]) -> Any:
    match name.text, arguments:
        case (text, ()) if text == _ORDERED_DICT:
            return {}
        case (text, (_Storage() as storage, offset, tuple(shape), tuple(strides), *_)) if text == _REBUILD_TENSOR:
            return _Tensor(storage, offset, shape, strides)
        case (text, (_Tensor() as tensor, *_)) if text == _REBUILD_PARAMETER:
            return tensor
    raise ValueError(f'its pickle calls {name.text} with unknown arguments')
