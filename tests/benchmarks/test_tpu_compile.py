"""benchmarks/tpu_compile.py: how it reads the text of a program, and the program itself, compiled for TPUs."""

import importlib.util
import re
import subprocess
import sys

import jax
import pytest

from tests.conftest import ROOT
from wgan_jax.algorithm.state import num_parameters
from wgan_jax.runs.build import build

BENCHMARKS = ROOT / 'benchmarks'
sys.path.insert(0, str(BENCHMARKS))

import tpu_compile  # noqa: E402

PROGRAM = """%inner (state: (s32[], f32[8])) -> (s32[], f32[8]) {
  %all-reduce.1 = (f32[8]{0:T(128)S(1)}, /*index=1*/bf16[2,3]{1,0:T(4,128)(2,1)}) all-reduce(%first, %first), channel_id=1, \
to_apply=%fused, metadata={op_name="jit(_fun)/while/body/psum"}
  %all-reduce-start.2 = f32[2,4]{1,0:T(2,128)} all-reduce-start(%value), channel_id=2, to_apply=%fused, \
metadata={op_name="jit(_fun)/BatchNorm_0/psum"}
  %all-reduce-done.2 = f32[2,4]{1,0:T(2,128)} all-reduce-done(%all-reduce-start.2)
  %fusion.1 = f32[8]{0:T(128)} fusion(%first, %all-reduce-done.2), kind=kLoop, calls=%fused
  ROOT %next = (s32[]{:T(128)}, f32[8]{0:T(128)}) tuple(%first, %fusion.1)
}

ENTRY %main (state: (s32[], f32[8])) -> (s32[], f32[8]) {
  %psum.3 = f32[1]{0:T(128)} all-reduce(%constant.1), channel_id=1, metadata={op_name="jit(_fun)/while/body/psum"}
  ROOT %while.1 = (s32[]{:T(128)}, f32[8]{0:T(128)}) while(%state), condition=%condition, body=%inner
}
"""


def test_collectives():
    assert tpu_compile.collectives(PROGRAM) == [
        tpu_compile.Collective('all-reduce', 44, statistics=False, in_loop=True),
        tpu_compile.Collective('all-reduce', 32, statistics=True, in_loop=True),
        tpu_compile.Collective('all-reduce', 4, statistics=False, in_loop=False),
    ]


@pytest.mark.parametrize(
    'line',
    [
        '%infeed.1 = ((f32[8]{0}), token[]) infeed(%token)',
        '%send.1 = (f32[8]{0}, u32[], token[]) send(%value, %token), channel_id=7, is_host_transfer=true',
        '%call.1 = f32[8]{0} custom-call(%value), custom_call_target="xla_python_cpu_callback"',
        '%there.1 = f32[8]{0} custom-call(%value), custom_call_target="MoveToHost"',
        '%copy.1 = f32[8]{0:T(128)S(5)} copy(%value)',
    ],
)
def test_transfers_to_and_from_the_host(line):
    assert tpu_compile.host_transfers(PROGRAM) == []
    assert tpu_compile.host_transfers(f'{PROGRAM}  {line}\n') == [line]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec('libtpu') is None, reason='the compiler for TPUs is missing: pip install libtpu')
def test_one_reduction_of_gradients_per_player_and_step():
    from configs import celeba_wgan_gp

    options = ['--configs=celeba_wgan_gp', '--dtypes=float32', '--topologies=v5e:2x4', '--num_features=8']
    command = [sys.executable, str(BENCHMARKS / 'tpu_compile.py'), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr  # so nothing is exchanged with the host
    row = next(line for line in done.stdout.splitlines() if line.startswith('v5e:2x4'))
    config = celeba_wgan_gp.get_config()
    config.generator.num_features = config.critic.num_features = 8
    state = jax.eval_shape(build(config).create_state)
    critic, generator = (num_parameters(player.params) for player in (state.critic, state.generator))
    # float32, reduced together with three metrics of the critic step and one of the generator step. The bias of the critic's last
    # layer isn't among them: a constant adds nothing to a difference of scores.
    sizes = sorted((4 * (critic - 1 + 3), 4 * (generator + 1)), reverse=True)
    assert ' + '.join(f'{size / 1e6:.2f}' for size in sizes) in row
    assert row.count(' + ') == 1
    assert row.split()[-1] == 'all-reduce'


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec('libtpu') is None, reason='the compiler for TPUs is missing: pip install libtpu')
def test_a_group_is_one_batched_program_without_collectives():
    """As many products as for one run, each of them over all members: so there is no loop over members."""
    options = ['--configs=digits_wgan_gp', '--dtypes=float32', '--topologies=v5e:2x4', '--num_features=8', '--members=3']
    command = [sys.executable, str(BENCHMARKS / 'tpu_compile.py'), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pattern = r'v5e:2x4 +(\d+) members on a core: (\d+) products, (\d+) of them over all members; (\d+) collectives'
    (_, number, *_), group = re.findall(pattern, done.stdout)
    assert group == ('3', number, number, '0')
