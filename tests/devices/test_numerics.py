"""The settings that are compared when a run is resumed, in processes of their own because JAX reads them when it is imported."""

import json
import os
import subprocess
import sys

import jax
import pytest

from wgan_jax.devices import numerics

PROGRAM = 'import json; from wgan_jax.devices import numerics; print(json.dumps([numerics.settings(), numerics.rounding()]))'


def test_values_of_this_process():
    assert numerics.settings()['jax_enable_x64'] is False
    assert numerics.rounding()['num_devices'] == jax.device_count()
    assert json.loads(json.dumps([numerics.settings(), numerics.rounding()])) == [numerics.settings(), numerics.rounding()]


def test_how_networks_multiply(monkeypatch):
    assert numerics.products('float32') == 'float32'
    monkeypatch.setattr(jax, 'default_backend', lambda: 'tpu')
    assert numerics.products('float32') == "float32, at the device's own precision"
    assert numerics.products('bfloat16') == 'bfloat16'
    with jax.default_matmul_precision('highest'):
        assert numerics.products('float32') == "float32, at the precision 'highest'"


@pytest.mark.slow
def test_variables_that_change_numbers_are_seen():
    variables = {'JAX_ENABLE_X64': '1', 'JAX_DEFAULT_PRNG_IMPL': 'rbg', 'JAX_THREEFRY_PARTITIONABLE': '0'}
    variables |= {'JAX_DEFAULT_MATMUL_PRECISION': 'highest', 'JAX_RANDOM_SEED_OFFSET': '3'}
    variables['XLA_FLAGS'] = (
        '--xla_force_host_platform_device_count=2 --xla_cpu_enable_fast_math=true --xla_backend_optimization_level=0'
    )
    result = subprocess.run([sys.executable, '-c', PROGRAM], env=os.environ | variables, capture_output=True, text=True, check=True)
    settings, rounding = json.loads(result.stdout)
    assert settings == {
        'jax_default_matmul_precision': 'highest',
        'jax_default_prng_impl': 'rbg',
        'jax_enable_x64': True,
        'jax_random_seed_offset': 3,
        'jax_threefry_partitionable': False,
    }
    assert rounding['num_devices'] == 2
    assert rounding['XLA_FLAGS'] == '--xla_backend_optimization_level=0 --xla_cpu_enable_fast_math=true'
