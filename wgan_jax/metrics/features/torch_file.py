"""Reads the arrays of a PyTorch state dict, from a file of either format of torch.save, without PyTorch and running nothing.

Such a file holds a pickle, a program that may call anything. Here `pickletools.genops` takes it apart into its instructions, and
those few that a state dict needs are followed by hand: they make dicts, lists, tuples, texts, numbers, and descriptions of tensors.
"""

import dataclasses
import io
import math
import pickletools
import zipfile
from typing import Any

import numpy as np

_MAGIC_NUMBER, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # how the older format begins; torch/serialization.py
_TYPES = {'torch FloatStorage': '<f4', 'torch DoubleStorage': '<f8', 'torch LongStorage': '<i8'}
_ORDERED_DICT = 'collections OrderedDict'
_REBUILD_TENSOR, _REBUILD_PARAMETER = 'torch._utils _rebuild_tensor_v2', 'torch._utils _rebuild_parameter'


@dataclasses.dataclass(frozen=True, slots=True)
class _Name:  # of a class or function; it stays a name
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class _Storage:
    dtype: str
    key: str
    count: int


@dataclasses.dataclass(frozen=True, slots=True)
class _Tensor:
    storage: _Storage
    offset: int  # this and the strides in values, not bytes
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_state_dict(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of a state dict by name, read-only views of `data` where they can be.

    Args:
      data: a file that torch.save wrote, of float32, float64 or int64 tensors.

    Raises:
      ValueError: it is no such file, is damaged, names anything that a state dict does not need, or has a tensor that is not
        within its storage.
    """
    tensors, storages = _read_zip(data) if data.startswith(b'PK\x03\x04') else _read_legacy(data)
    if not isinstance(tensors, dict) or not all(isinstance(item, _Tensor) for item in tensors.values()):
        raise ValueError('it is not a state dict: a dict of tensors by name')
    return {name: _array(name, tensor, storages) for name, tensor in tensors.items()}


def _read_legacy(data: bytes) -> tuple[Any, dict[str, memoryview]]:
    """Four pickles (a number, a number, facts about the machine, the object), one of keys, then each key's storage."""
    file = io.BytesIO(data)
    if _follow(file) != _MAGIC_NUMBER or _follow(file) != _PROTOCOL:
        raise ValueError('it is not a file of torch.save')
    facts = _follow(file)
    if not isinstance(facts, dict) or facts.get('little_endian') is not True:
        raise ValueError('it does not say that its numbers are little-endian')
    used: dict[str, _Storage] = {}
    result, keys = _follow(file, used), _follow(file)
    if not isinstance(keys, list) or not all(isinstance(key, str) and key in used for key in keys) or len(set(keys)) < len(keys):
        raise ValueError('its list of storages is not that of its tensors')
    storages = {}
    for key in keys:
        count = int.from_bytes(file.read(8), 'little', signed=True)
        start, size = file.tell(), used[key].count * np.dtype(used[key].dtype).itemsize
        if count != used[key].count or start + size > len(data):
            raise ValueError(f'storage {key} should have {used[key].count} values, and has {count} or is cut short')
        storages[key] = memoryview(data)[start : start + size]
        file.seek(size, io.SEEK_CUR)
    return result, storages


def _read_zip(data: bytes) -> tuple[Any, dict[str, bytes]]:
    """An archive, not compressed: TOP/data.pkl and TOP/data/KEY for each storage."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {info.filename: info for info in archive.infolist()}
            if sum(info.file_size for info in archive.infolist()) > len(data):
                raise ValueError('its members are larger than the file')
            top = next((name.removesuffix('data.pkl') for name in members if name.endswith('/data.pkl')), '')
            kept = {
                name.removeprefix(top): archive.read(info)
                for name, info in members.items()
                if info.compress_type == zipfile.ZIP_STORED and name.startswith((f'{top}data', f'{top}byteorder'))
            }
    except ValueError:
        raise
    except Exception as error:  # of the archive's format
        raise ValueError(f'its archive is damaged ({error or type(error).__name__})') from error
    if 'data.pkl' not in kept or kept.get('byteorder', b'little') != b'little':
        raise ValueError('it has no data.pkl, or its numbers are not little-endian')
    result = _follow(io.BytesIO(kept['data.pkl']))
    return result, {name.removeprefix('data/'): content for name, content in kept.items() if name.startswith('data/')}


def _array(name: str, tensor: _Tensor, storages: dict[str, Any]) -> np.ndarray:
    storage, dtype = tensor.storage, np.dtype(tensor.storage.dtype)
    numbers = (tensor.offset, *tensor.shape, *tensor.strides)
    if len(tensor.shape) > 32 or len(tensor.strides) != len(tensor.shape) or not all(map(_is_size, numbers)):
        raise ValueError(f'{name} has an offset, shape or strides that are no sizes')
    size, last = math.prod(tensor.shape), tensor.offset
    if size:
        last += sum((length - 1) * stride for length, stride in zip(tensor.shape, tensor.strides, strict=True))
    # The first also refuses a view that repeats its values: such a one has no bound to its size.
    if size > storage.count or last + bool(size) > storage.count:
        raise ValueError(f'{name} reaches beyond its storage of {storage.count} values')
    if storage.key not in storages or len(storages[storage.key]) != storage.count * dtype.itemsize:
        raise ValueError(f'{name} has a storage that is missing or not of {storage.count} values')
    strides = [stride * dtype.itemsize for stride in tensor.strides]
    return np.ndarray(tensor.shape, dtype, storages[storage.key], tensor.offset * dtype.itemsize, strides)


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _follow(file: io.BytesIO, used: dict[str, _Storage] | None = None) -> Any:
    """What one pickle makes, from where the file stands to behind its end; `used` gathers the storages that it names."""
    stack: list[Any] = []
    marks: list[int] = []  # heights of the stack
    memo: dict[int, Any] = {}
    used = {} if used is None else used

    def pop(expected: type) -> Any:
        if len(stack) <= (marks[-1] if marks else 0) or not isinstance(stack[-1], expected):
            raise ValueError(f'its pickle has no {expected.__name__} where it needs one')
        return stack.pop()

    def pop_to_mark() -> list[Any]:
        if not marks:
            raise ValueError('its pickle needs a mark that is not there')
        start = marks.pop()
        items = stack[start:]
        del stack[start:]
        return items

    def put(items: list[Any]) -> None:
        target, keys = pop(dict), items[::2]
        if len(items) % 2 or not all(isinstance(key, str) for key in keys):
            raise ValueError('its pickle has a dict whose keys are not texts')
        target.update(zip(keys, items[1::2], strict=True))
        stack.append(target)

    for instruction, argument, _ in pickletools.genops(file):
        match instruction.name:
            case 'PROTO':
                continue
            case 'STOP':
                return pop(object)
            case 'MARK':
                marks.append(len(stack))
            case 'BINPUT' | 'LONG_BINPUT':
                memo[argument] = pop(object)
                stack.append(memo[argument])
            case 'BINGET' | 'LONG_BINGET':
                if argument not in memo:
                    raise ValueError('its pickle asks for what it has not put by')
                stack.append(memo[argument])
            case 'BININT' | 'BININT1' | 'BININT2' | 'LONG1' | 'BINUNICODE' | 'NONE' | 'NEWTRUE' | 'NEWFALSE':
                stack.append({'NEWTRUE': True, 'NEWFALSE': False}.get(instruction.name, argument))
            case 'EMPTY_DICT' | 'EMPTY_LIST' | 'EMPTY_TUPLE':
                stack.append({'EMPTY_DICT': dict, 'EMPTY_LIST': list, 'EMPTY_TUPLE': tuple}[instruction.name]())
            case 'TUPLE':
                stack.append(tuple(pop_to_mark()))
            case 'TUPLE1' | 'TUPLE2' | 'TUPLE3':
                stack.append(tuple([pop(object) for _ in range(int(instruction.name[-1]))][::-1]))
            case 'APPEND' | 'APPENDS':
                items = pop_to_mark() if instruction.name == 'APPENDS' else [pop(object)]
                stack.append(pop(list))
                stack[-1].extend(items)
            case 'SETITEM':
                value, key = pop(object), pop(object)
                put([key, value])
            case 'SETITEMS':
                put(pop_to_mark())
            case 'BUILD':  # attributes of an OrderedDict; a state dict keeps the versions of its modules there
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


def _storage(words: tuple[Any, ...], used: dict[str, _Storage]) -> _Storage:
    """('storage', type, key, device, number of values), and in the older format None at the end."""
    match words:
        case ('storage', _Name(text), str(key), str(_), count, *none) if (
            text in _TYPES and _is_size(count) and none in ([], [None])
        ):
            storage = _Storage(_TYPES[text], key, count)
            if used.setdefault(key, storage) == storage:
                return storage
    raise ValueError('its pickle describes a storage in words that are not known')


def _call(name: _Name, arguments: tuple[Any, ...]) -> Any:
    match name.text, arguments:
        case (text, ()) if text == _ORDERED_DICT:
            return {}
        case (text, (_Storage() as storage, offset, tuple(shape), tuple(strides), *_)) if text == _REBUILD_TENSOR:
            return _Tensor(storage, offset, shape, strides)
        case (text, (_Tensor() as tensor, *_)) if text == _REBUILD_PARAMETER:
            return tensor
    raise ValueError(f'its pickle calls {name.text} with arguments that are not known')
