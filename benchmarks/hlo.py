"""What the text of a compiled program says, as XLA for TPUs writes it (HLO): loops, collectives, traffic with memory and host."""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

BYTES = {'pred': 1, 's4': 0.5, 'u4': 0.5, 'c64': 8, 'c128': 16, 'token': 0}  # of others the name tells the bits
COLLECTIVES = ('all-reduce', 'all-gather', 'all-to-all', 'reduce-scatter', 'collective-permute', 'collective-broadcast')
HOST = ('infeed', 'outfeed', 'send', 'recv')
FREE = ('parameter', 'constant', 'tuple', 'get-tuple-element', 'bitcast', 'while', 'call', 'conditional', 'after-all')


class Instruction(NamedTuple):
    """A line of a computation."""

    name: str
    shape: str
    opcode: str
    operands: tuple[str, ...]
    line: str


class Collective(NamedTuple):
    """A collective of the program."""

    opcode: str
    bytes: int  # of its result on a core
    times: int  # per round
    statistics: bool  # of batch norm, forward or backward


def arrays(shape: str) -> Iterator[tuple[float, bool]]:
    """(bytes, whether it is in HBM) of each array in the text of a shape: memory spaces other than 0 are written S(n)."""
    for kind, sides, layout in re.findall(r'([a-z]+\d*)\w*\[([\d,]*)\](\{[^}]*\})?', shape):
        size = BYTES[kind] if kind in BYTES else int(re.sub(r'\D', '', kind)) / 8
        yield size * math.prod(int(side) for side in sides.split(',') if side), not re.search(r'S\([1-9]', layout)


def parse(text: str) -> tuple[dict[str, list[Instruction]], str]:
    """The computations of an HLO module's text, by name, and the name of the entry."""
    computations, entry, now = {}, '', []
    for line in text.splitlines():
        if header := re.match(r'(ENTRY )?%?([\w.-]+) \(.*\{$', line):
            now = computations[header[2]] = []
            entry = header[2] if header[1] else entry
        elif found := re.match(r'\s+(?:ROOT )?%?([\w.-]+) = (.*?) ([a-z][\w-]*)\(([^)]*)\)', line):
            now.append(Instruction(found[1], found[2], found[3], tuple(re.findall(r'%([\w.-]+)', found[4])), line))
    return computations, entry


def times_per_round(computations: dict[str, list[Instruction]], entry: str) -> dict[str, int]:
    """How often one turn of the outermost loop, whose bound is an argument, runs each computation that it runs on its own.

    A loop inside of it must say how often it turns: by the only integer in its condition.

    Raises:
      ValueError: there is not one outermost loop, or one inside does not say.
    """
    loops = [instruction for instruction in computations[entry] if instruction.opcode == 'while']
    if len(loops) != 1:
        raise ValueError(f'{len(loops)} loops in {entry}, not 1')
    times: dict[str, int] = {}

    def visit(name: str, often: int) -> None:
        times[name] = times.get(name, 0) + often
        for instruction in computations[name]:
            if instruction.opcode == 'while':
                condition = re.search(r'condition=%?([\w.-]+)', instruction.line)[1]
                bounds = [re.search(r'constant\((\d+)\)', other.line) for other in computations[condition]]
                bounds = [int(bound[1]) for bound in bounds if bound]
                if len(bounds) != 1:
                    raise ValueError(f'{instruction.name} does not say how often it turns')
                visit(re.search(r'body=%?([\w.-]+)', instruction.line)[1], often * bounds[0])
            elif instruction.opcode in ('call', 'conditional', 'async-start'):
                called = re.findall(r'(?:calls|to_apply|branch_computations)=(\{[^}]*\}|%[\w.-]+)', instruction.line)
                for other in re.findall(r'%([\w.-]+)', ' '.join(called)):
                    visit(other, often)

    visit(re.search(r'body=%?([\w.-]+)', loops[0].line)[1], 1)
    return times


def host_transfers(computations: dict[str, list[Instruction]]) -> list[str]:
    """Instructions that exchange data with the host: feeds, sends, callbacks, and arrays in its memory, S(5)."""
    return [
        instruction.line.strip()
        for instructions in computations.values()
        for instruction in instructions
        if instruction.opcode.removesuffix('-done') in HOST
        or re.search(r'S\(5\)|custom_call_target="[^"]*(callback|[Hh]ost)', instruction.line)
    ]


def collectives(computations: dict[str, list[Instruction]], times: dict[str, int]) -> list[Collective]:
    """The collectives of a round; of asynchronous ones the start."""
    return [
        Collective(opcode, int(sum(size for size, _ in arrays(instruction.shape))), often, 'BatchNorm' in instruction.line)
        for name, often in times.items()
        for instruction in computations[name]
        if (opcode := instruction.opcode.removesuffix('-start')) in COLLECTIVES
    ]


def hbm_bytes(computations: dict[str, list[Instruction]], times: dict[str, int], dataset: int) -> float:
    """Bytes of a round to and from HBM; of an array of `dataset` bytes only what is taken from it."""

    def moved(instruction: Instruction, shapes: dict[str, str]) -> float:
        if instruction.opcode in FREE or instruction.opcode.endswith(('-done', '-update')):
            return 0
        if instruction.opcode in ('copy-start', 'slice-start', 'async-start'):
            # (target, source) or ((sources), target), and flags: as much as both have goes one way.
            return min((size for size, _ in arrays(instruction.shape) if size > 4), default=0)
        result = sum(size for size, in_hbm in arrays(instruction.shape) if in_hbm)
        read = [size for name in instruction.operands for size, in_hbm in arrays(shapes.get(name, '')) if in_hbm]
        gathered = sum(size for size, _ in arrays(instruction.shape)) if dataset in read else 0
        return result + gathered + sum(size for size in read if size != dataset)

    total = 0.0
    for name, often in times.items():
        shapes = {instruction.name: instruction.shape for instruction in computations[name]}
        total += often * sum(moved(instruction, shapes) for instruction in computations[name])
    return total


def cycles(computations: dict[str, list[Instruction]], times: dict[str, int]) -> int:
    """The compiler's estimates for the fusions of a round."""
    found = {name: re.findall(r'"estimated_cycles":"(\d+)"', ' '.join(i.line for i in computations[name])) for name in times}
    return sum(often * sum(map(int, found[name])) for name, often in times.items())
