"""benchmarks/tpu_compile.py: what it reads out of a program's text, and the program itself, compiled for TPUs."""

import importlib.util
import re
import subprocess
import sys

import jax
import pytest

from tests.conftest import ROOT
from wgan_jax.runs.experiment import make_experiment, num_parameters

BENCHMARKS = ROOT / 'benchmarks'
sys.path.insert(0, str(BENCHMARKS))

import hlo  # noqa: E402

# A loop without a known number of turns, in it one of 3 and an asynchronous call; the numbers are made up.
PROGRAM = """HloModule m, entry_computation_layout={(f32[8]{0})->f32[8]{0}}

%fused (p: f32[8]) -> f32[8] {
  %p = f32[8]{0:T(128)} parameter(0)
  ROOT %sum = f32[8]{0:T(128)} add(%p, %p)
}

%wrapped (q: f32[4]) -> f32[4] {
  %q = f32[4]{0} parameter(0)
  ROOT %all-reduce.3 = f32[4]{0} all-reduce(%q), channel_id=3, to_apply=%fused
}

%inner (state: (s32[], f32[8])) -> (s32[], f32[8]) {
  %state = (s32[]{:T(128)}, f32[8]{0:T(128)S(1)}) parameter(0)
  %first = f32[8]{0:T(128)S(1)} get-tuple-element(%state), index=1
  %all-reduce.1 = (f32[8]{0:T(128)S(1)}, /*index=1*/bf16[2,3]{1,0:T(4,128)(2,1)}) all-reduce(%first, %first), channel_id=1, \
to_apply=%fused, metadata={op_name="jit(_fun)/while/body/psum"}
  %fusion.1 = f32[8]{0:T(128)} fusion(%first), kind=kLoop, calls=%fused, backend_config={"window_config":{"estimated_cycles":"70"}}
  ROOT %next = (s32[]{:T(128)}, f32[8]{0:T(128)}) tuple(%first, %fusion.1)
}

%turns (other: (s32[], f32[8])) -> pred[] {
  %other = (s32[]{:T(128)}, f32[8]{0:T(128)}) parameter(0)
  %three = s32[]{:T(128)} constant(3)
  %turn = s32[]{:T(128)} get-tuple-element(%other), index=0
  ROOT %less = pred[]{:T(512)} compare(%turn, %three), direction=LT
}

%outer (all: (s32[], f32[8])) -> (s32[], f32[8]) {
  %all = (s32[]{:T(128)}, f32[8]{0:T(128)}) parameter(0)
  %value = f32[8]{0:T(128)} get-tuple-element(%all), index=1
  %images = u8[1000]{0:T(1024)} get-tuple-element(%all), index=2
  %fusion.2 = u8[16]{0:T(1024)S(1)} fusion(%images), kind=kLoop, calls=%fused, backend_config={"estimated_cycles":"5"}
  %copy-start.1 = (f32[8]{0:T(128)S(1)}, f32[8]{0:T(128)}, u32[]{:S(2)}) copy-start(%value)
  %copy-done.1 = f32[8]{0:T(128)S(1)} copy-done(%copy-start.1)
  %while.1 = (s32[]{:T(128)}, f32[8]{0:T(128)}) while(%all), condition=%turns, body=%inner
  %all-reduce-start.2 = f32[2,4]{1,0:T(2,128)} all-reduce-start(%value), channel_id=2, to_apply=%fused, \
metadata={op_name="jit(_fun)/BatchNorm_0/psum"}
  %all-reduce-done.2 = f32[2,4]{1,0:T(2,128)} all-reduce-done(%all-reduce-start.2)
  %async = ((f32[4]{0}), f32[4]{0}, u32[]{:S(2)}) async-start(%value), calls=%wrapped
  ROOT %result = (s32[]{:T(128)}, f32[8]{0:T(128)}) tuple(%value, %value)
}

%bound (some: (s32[], f32[8])) -> pred[] {
  ROOT %go = pred[]{:T(512)} constant(true)
}

ENTRY %main (argument: f32[8]) -> f32[8] {
  %argument = f32[8]{0:T(128)} parameter(0)
  %fusion.9 = f32[8]{0:T(128)} fusion(%argument), kind=kLoop, calls=%fused, backend_config={"estimated_cycles":"1000"}
  ROOT %while.2 = (s32[]{:T(128)}, f32[8]{0:T(128)}) while(%argument), condition=%bound, body=%outer
}
"""


@pytest.fixture
def program():
    computations, entry = hlo.parse(PROGRAM)
    return computations, hlo.times_per_round(computations, entry)


def test_arrays():
    shape = '(f32[2,3]{1,0:T(2,128)S(1)}, /*index=1*/bf16[8]{0:T(128)(2,1)}, pred[], u4[4]{0}, f8e4m3fn[6]{0:S(3)}, u32[]{:S(0)})'
    assert list(hlo.arrays(shape)) == [(24, False), (16, True), (1, True), (2, True), (6, False), (4, True)]


def test_a_round_is_one_turn_of_the_outer_loop(program):
    _, times = program
    assert times == {'outer': 1, 'inner': 3, 'wrapped': 1}


def test_a_loop_that_does_not_say_how_often_it_turns():
    computations, entry = hlo.parse(PROGRAM.replace('constant(3)', 'parameter(1)'))
    with pytest.raises(ValueError, match=r'while.1 does not say'):
        hlo.times_per_round(computations, entry)


def test_collectives(program):
    assert sorted(hlo.collectives(*program)) == [
        hlo.Collective('all-reduce', 16, 1, False),
        hlo.Collective('all-reduce', 32, 1, True),
        hlo.Collective('all-reduce', 44, 3, False),
    ]


def test_cycles(program):
    assert hlo.cycles(*program) == 3 * 70 + 5


def test_bytes_of_hbm(program):
    computations, times = program
    # Inside: the bfloat16 result and the fusion's. Outside: the copy, what is taken from the images, both reductions.
    inner = 12 + 32
    outer = 32 + 16 + (32 + 32) + 16
    wrapped = 16 + 16
    assert hlo.hbm_bytes(computations, times, dataset=1000) == 3 * inner + outer + wrapped


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
def test_transfers_to_and_from_the_host(line, program):
    assert hlo.host_transfers(program[0]) == []
    computations, _ = hlo.parse(PROGRAM.replace('  %while.1 =', f'  {line}\n  %while.1 ='))
    assert hlo.host_transfers(computations) == [line]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec('libtpu') is None, reason='the compiler for TPUs is not there: pip install libtpu')
def test_one_reduction_of_gradients_per_player_and_step():
    from configs import celeba_wgan_gp

    options = ['--configs=celeba_wgan_gp', '--dtypes=float32', '--topologies=v5e:2x4', '--batch_per_core=0', '--num_features=8']
    command = [sys.executable, str(BENCHMARKS / 'tpu_compile.py'), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr  # it compiles, and nothing goes to the host or comes from it
    row = next(line for line in done.stdout.splitlines() if line.startswith('v5e:2x4'))
    config = celeba_wgan_gp.get_config()
    config.generator.num_features = config.critic.num_features = 8
    state = jax.eval_shape(make_experiment(config).create_state)
    critic, generator = (num_parameters(player.params) for player in (state.critic, state.generator))
    # In float32, with three and one metrics.
    expected = [(config.n_critic, 4 * (critic + 3)), (1, 4 * (generator + 1))]
    assert re.findall(r'(\d+) x ([\d.]+)', row) == [(str(times), f'{size / 1e6:.2f}') for times, size in expected]
    assert row.split()[-1] == 'all-reduce'
