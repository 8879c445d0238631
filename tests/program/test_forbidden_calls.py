"""None of our code can run its input: checked in the syntax tree of every file. The check itself is tested below."""

import ast

import pytest

from tests.conftest import ROOT

FILES = [
    ROOT / 'train.py',
    *(path for top in ('wgan_jax', 'configs', 'papers', 'benchmarks') for path in sorted((ROOT / top).rglob('*.py'))),
]
MODULES = {'pickle', 'cPickle', '_pickle', 'dill', 'cloudpickle', 'marshal', 'shelve', 'joblib'}
BUILTINS = {'eval', 'exec', 'compile', '__import__', '__builtins__'}
NAMES = {
    *(f'yaml.{name}' for name in ('load', 'load_all', 'unsafe_load', 'full_load', 'unsafe_load_all', 'full_load_all')),
    *('torch.load', 'os.system', 'os.popen', 'tempfile.mktemp', 'subprocess.getoutput', 'subprocess.getstatusoutput'),
    *('pandas.read_pickle', 'builtins.eval', 'builtins.exec', 'builtins.compile', 'importlib.__import__'),
}
LOADS = {'numpy.load', 'jax.numpy.load', 'numpy.lib.format.open_memmap', 'numpy.lib.format.read_array'}
PROCESSES = {'run', 'Popen', 'call', 'check_call', 'check_output'}


def forbidden(source):
    """Lines of `source` that may run their input, with the reason."""
    tree = ast.parse(source)
    names = {}  # the full names of imported names
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.split('.')[0]] = alias.name if alias.asname else alias.name.split('.')[0]
                if alias.name.split('.')[0] in MODULES:
                    found.append((node.lineno, alias.name))
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = f'{node.module}.{alias.name}'
            if (node.module or '').split('.')[0] in MODULES:
                found.append((node.lineno, node.module))

    def dotted(node):
        if isinstance(node, ast.Attribute):
            return f'{dotted(node.value)}.{node.attr}'
        return names.get(node.id, node.id) if isinstance(node, ast.Name) else ''

    harmless = set()  # functions that are called with a safe argument
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            options = {keyword.arg: keyword.value for keyword in node.keywords}
            never = {option for option, value in options.items() if isinstance(value, ast.Constant) and value.value is False}
            if name in LOADS and 'allow_pickle' in never:
                harmless.add(node.func)
            is_process = name.startswith('subprocess.') and name.split('.')[-1] in PROCESSES
            if is_process and {'shell', None} & options.keys() - never:  # None is **options, which may hold anything
                found.append((node.lineno, f'{name} with a shell'))
            texts = {str(argument.value).split('.')[0] for argument in node.args if isinstance(argument, ast.Constant)}
            if name in ('importlib.import_module', 'getattr') and texts & (MODULES | BUILTINS):
                found.append((node.lineno, name))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and node not in harmless:
            name = dotted(node)
            if name in BUILTINS | NAMES | LOADS:
                found.append((node.lineno, name))
    return sorted(found)


@pytest.mark.parametrize('path', FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_can_run_its_input(path):
    assert forbidden(path.read_text()) == []


def test_there_are_files_to_look_at():
    assert len(FILES) > 60


@pytest.mark.parametrize(
    'source',
    [
        *(f'import {module}' for module in sorted(MODULES)),
        *(f'from {module} import load' for module in sorted(MODULES)),
        'import os, pickle as harmless',
        'def f():\n    import pickle',
        'from pickle import *',
        'import importlib; importlib.import_module("pickle")',
        'from importlib import import_module as get; get("marshal")',
        'eval("1")',
        'exec("1")',
        'compile("1", "", "eval")',
        '__import__("os")',
        'run = eval',
        'map(exec, lines)',
        'import builtins; builtins.eval("1")',
        'getattr(__builtins__, "e" + "val")',
        'import numpy as np; np.load(path)',
        'import numpy as np; np.load(path, allow_pickle=True)',
        'import numpy as np; np.load(path, allow_pickle=trust)',
        'import numpy as np; np.load(path, **options)',
        'from numpy import load as read; read(path)',
        'import numpy; map(numpy.load, paths)',
        'import jax.numpy as jnp; jnp.load(path)',
        'import torch; torch.load(path, weights_only=True)',
        'from torch import load; load(path)',
        'import yaml; yaml.load(text, Loader=yaml.SafeLoader)',
        'import subprocess; subprocess.run("ls", shell=True)',
        'import subprocess; subprocess.check_output("ls", shell=1)',
        'import subprocess; subprocess.Popen("ls", **options)',
        'from subprocess import run; run("ls", shell=True)',
        'import os; os.system("ls")',
        'from os import system; system("ls")',
        'import os; os.popen("ls")',
        'import tempfile; tempfile.mktemp()',
        'from tempfile import mktemp as name',
    ],
)
def test_forbidden_code_is_found(source):
    if 'as name' in source:
        source += '; name()'
    assert forbidden(source)


@pytest.mark.parametrize(
    'source',
    [
        'import re; re.compile("a")',
        'lowered.compile(options)',
        'import numpy as np; np.load(path, mmap_mode="r", allow_pickle=False)',
        'import subprocess; subprocess.run(["ls"], check=True)',
        'import subprocess; subprocess.run(["ls"], shell=False)',
        'import json; json.load(file)',
        'import yaml; yaml.safe_load(text)',
        'import tempfile; tempfile.mkdtemp()',
    ],
)
def test_harmless_code_is_accepted(source):
    assert forbidden(source) == []
