"""Runs of two processes with two virtual devices each, connected by gloo and started from the command line."""

import os
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from configs import digits_wgan_gp, mnist_wgan
from tests.conftest import ROOT
from tests.devices.test_parallel import assert_close, ten_rounds
from tests.tiny_runs import assert_same_run, final_state, lines

# The runtime may end a process that has lost another one before our message does.
LOST = ('has lost another process of this run', 'This most likely indicates that another task died')
QUICK = '--xla_backend_optimization_level=0'
ONE = {'XLA_FLAGS': QUICK}
TWO = {'XLA_FLAGS': f'{QUICK} --xla_force_host_platform_device_count=2'}
KEYS = {'batch_size': 8, 'n_critic': 2, 'latent_dim': 3, 'num_samples': 4, 'ema_decay': 0.9, 'log_every': 2, 'eval_every': None}
KEYS |= {f'{player}.num_features': 4 for player in ('generator', 'critic')}
# PYTHON -c ROUNDS COORDINATOR PROCESS_ID GAME FILE
ROUNDS = """
import sys
from wgan_jax.devices import cluster, processes
cluster.join(sys.argv[1], 2, int(sys.argv[2]))
import jax, numpy
from tests.devices.test_parallel import ten_rounds
assert jax.device_count() == 4 and jax.local_device_count() == 2
leaves = ten_rounds(sys.argv[3])
if processes.is_first():
    numpy.savez(sys.argv[4], *leaves)
"""


class Processes:
    """The processes of one run; those that still run at the end are killed."""

    def __init__(self, commands, environment):
        environment = {**os.environ, **environment}
        pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, 'text': True}
        self.processes = [subprocess.Popen(command, cwd=ROOT, env=environment, **pipes) for command in commands]

    @classmethod
    def training(cls, workdir, keys, *extra, number=2, environment=TWO, flags=()):
        """Starts train.py with `flags`; all processes but the first get the `extra` flags."""
        keys = {'config': digits_wgan_gp} | keys
        config = keys.pop('config').__name__.split('.')[-1]
        command = [sys.executable, 'train.py', f'--config=configs/{config}.py', f'--workdir={workdir}']
        command += [f'--config.{name}={value}' for name, value in keys.items()] + list(flags)
        if number == 1:
            return cls([command], environment)
        command += [f'--coordinator={free_address()}', f'--num_processes={number}']
        ends = [[f'--process_id={index}', *(extra if index else ())] for index in range(number)]
        return cls([command + end for end in ends], environment)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for process in self.processes:
            process.kill()  # SIGTERM does not end a process that hangs in a collective
            process.communicate()

    def wait(self):
        """(return codes, standard outputs, standard errors)."""
        outputs = [process.communicate(timeout=900) for process in self.processes]
        return [process.returncode for process in self.processes], *zip(*outputs, strict=True)


def free_address():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return f'127.0.0.1:{probe.getsockname()[1]}'


def run(*arguments, **options):
    """Runs train.py to its end and returns what each process printed."""
    with Processes.training(*arguments, **options) as started:
        codes, outputs, errors = started.wait()
    assert codes == [0] * len(codes), errors
    return outputs


def wait_for(happened):
    deadline = time.time() + 600
    while not happened():
        assert time.time() < deadline
        time.sleep(0.1)


def settings_of(keys):
    """The config of a run."""
    settings = keys.get('config', digits_wgan_gp).get_config()
    settings.update_from_flattened_dict({name: value for name, value in keys.items() if name != 'config'})
    return settings


def assert_close_runs(one, other, keys):
    """Compares two runs up to rounding; where a gradient is about zero, the sign of a step of Adam is arbitrary."""
    settings = settings_of(keys)
    (step, leaves), (other_step, other_leaves) = final_state(one, settings), final_state(other, settings)
    assert step == other_step == settings.num_steps
    reach = 2 * settings.critic_optimizer.learning_rate * settings.n_critic * settings.num_steps
    for x, y in zip(leaves, other_leaves, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=reach)
    for line, other_line in zip(lines(one), lines(other), strict=True):
        assert line.keys() == other_line.keys()
        np.testing.assert_allclose(list(line.values()), list(other_line.values()), rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize('game', ['wgan', 'wgan_gp'])
def test_two_processes_compute_what_one_device_computes(tmp_path, double_precision, game):
    """Ten rounds in float64, to 1e-10."""
    address, file = free_address(), str(tmp_path / 'rounds.npz')
    commands = [[sys.executable, '-c', ROUNDS, address, str(index), game, file] for index in range(2)]
    # Compiled as in this process: images become float32 first, and other code would round differently.
    with Processes(commands, {**TWO, 'JAX_ENABLE_X64': '1'}) as started:
        codes, _, errors = started.wait()
    assert codes == [0, 0], errors
    with np.load(file) as arrays:
        assert_close([arrays[f'arr_{index}'] for index in range(len(arrays))], ten_rounds(game, jax.devices()[:1]))


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path):
    keys = KEYS | {'num_steps': 6, 'checkpoint_every': 4}
    outputs = run(tmp_path / 'two', keys)
    assert 'training to step 6 on 4 x cpu in 2 processes.' in outputs[0]
    assert 'Done at step 6.' in outputs[0]
    assert 'step' not in outputs[1]  # gloo prints something, we do not
    run(tmp_path / 'one', keys, number=1, environment=ONE)
    assert_close_runs(tmp_path / 'two', tmp_path / 'one', keys)
    for pattern in ('samples/*', 'checkpoints/*', 'tensorboard/*'):
        counts = [len(list((tmp_path / name).glob(pattern))) for name in ('two', 'one')]
        assert counts[0] == counts[1] > 0


@pytest.mark.slow
def test_a_signal_to_one_process_stops_all_and_one_process_continues_the_run(tmp_path):
    keys = KEYS | {'num_steps': 40_000, 'checkpoint_every': 50_000}
    with Processes.training(tmp_path / 'run', keys) as started:
        wait_for(lambda: (tmp_path / 'run' / 'metrics.jsonl').is_file() and (tmp_path / 'run' / 'metrics.jsonl').stat().st_size)
        started.processes[1].send_signal(signal.SIGTERM)
        codes, outputs, errors = started.wait()
    assert codes == [143, 143], errors
    assert 'The same command continues from here.' in outputs[0]
    (stopped,) = (int(path.name) for path in (tmp_path / 'run' / 'checkpoints').iterdir() if path.name.isdigit())
    keys |= {'num_steps': stopped + 2}
    assert f'at step {stopped}.' in run(tmp_path / 'run', keys, number=1, environment=ONE)[0]


@pytest.mark.slow
def test_after_a_storm_of_signals_both_end_with_the_same_status(tmp_path):
    keys = KEYS | {'num_steps': 40_000, 'checkpoint_every': 50_000}
    with Processes.training(tmp_path / 'run', keys) as started:
        wait_for(lambda: (tmp_path / 'run' / 'metrics.jsonl').is_file() and (tmp_path / 'run' / 'metrics.jsonl').stat().st_size)
        for index in range(60):  # longer than one second, after which a process ends at once
            for process in started.processes:
                process.send_signal((signal.SIGTERM, signal.SIGINT, signal.SIGHUP)[index % 3])
            time.sleep(0.03)
        codes, _, errors = started.wait()
    assert codes[0] == codes[1], errors
    assert codes[0] in (129, 130, 143)


@pytest.mark.parametrize(
    ('other', 'message'),
    [
        ('--config.seed=1', 'Process 1 of this run has another config than process 0 (seed): all must have the same.'),
        pytest.param('--config.data.manual_dir=.', 'Error: config.data.manual_dir=', marks=pytest.mark.slow),
    ],
)
def test_processes_with_different_configs_end_together(tmp_path, other, message):
    with Processes.training(tmp_path / 'run', KEYS, other) as started:
        codes, _, errors = started.wait()
    assert codes == [1, 1], errors
    assert message in errors[1]
    assert 'Traceback' not in errors[0] + errors[1]
    assert not (tmp_path / 'run').exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ('change', 'messages'),
    [
        (
            {'seed': 1},
            ['holds a run with another config (seed: 0 -> 1)', 'Process 0 of this run has failed; its output says why.'],
        ),
        ({'critic_optimizer.learning_rate': 1e38, 'num_steps': 50}, ['Training diverged between ', 'Training diverged between ']),
    ],
)
def test_an_error_in_process_0_or_in_all_ends_all(tmp_path, change, messages):
    if 'seed' in change:
        run(tmp_path / 'run', KEYS | {'num_steps': 2}, number=1, environment=ONE)
    with Processes.training(tmp_path / 'run', KEYS | {'num_steps': 4} | change) as started:
        codes, _, errors = started.wait()
    assert codes == [1, 1], errors
    for message, error in zip(messages, errors, strict=True):
        assert 'Error: ' in error
        assert message in error


@pytest.mark.slow
def test_two_processes_prepare_mnist_once_and_train_on_it_as_one(tmp_path):
    data = os.environ.get('WGAN_JAX_TEST_DATA')
    if data is None:
        pytest.skip('WGAN_JAX_TEST_DATA is not set: no MNIST files here')
    keys = KEYS | {'config': mnist_wgan, 'num_steps': 4, 'data.manual_dir': f'{data}/mnist', 'data.dir': str(tmp_path / 'data')}
    keys |= {f'{player}.network': 'mlp' for player in ('generator', 'critic')}
    outputs = run(tmp_path / 'two', keys | {'data.placement': 'host'})  # each process gathers its own images
    assert outputs[0].count('Preparing MNIST') == 1
    assert 'in 2 processes, the images in host memory.' in outputs[0]
    assert 'Preparing' not in outputs[1]
    run(tmp_path / 'one', keys, number=1, environment=ONE)
    assert_close_runs(tmp_path / 'two', tmp_path / 'one', keys)


@pytest.mark.slow
@pytest.mark.parametrize('victim', [0, 1])
def test_when_one_is_killed_the_other_ends_with_a_message_and_the_run_can_continue(tmp_path, victim):
    """Bit for bit on the same number of processes and devices, and also on another number."""
    keys = KEYS | {'num_steps': 40_000, 'checkpoint_every': 4}
    with Processes.training(tmp_path / 'run', keys) as started:
        wait_for((tmp_path / 'run' / 'checkpoints' / '4').is_dir)
        started.processes[victim].kill()
        codes, _, errors = started.wait()
    assert codes[victim] == -signal.SIGKILL
    assert codes[1 - victim] in (75, -signal.SIGABRT, -signal.SIGSEGV)
    assert codes[1 - victim] == -signal.SIGSEGV or any(message in errors[1 - victim] for message in LOST)
    saved = max(int(path.name) for path in (tmp_path / 'run' / 'checkpoints').iterdir() if path.name.isdigit())
    keys |= {'num_steps': saved + 2}
    if victim == 0:
        assert f'at step {saved}.' in run(tmp_path / 'run', keys)[0]
        run(tmp_path / 'straight', keys)
        assert_same_run(tmp_path / 'run', tmp_path / 'straight', settings_of(keys))
    else:
        output = run(
            tmp_path / 'run', keys, number=1, environment={'XLA_FLAGS': f'{QUICK} --xla_force_host_platform_device_count=8'}
        )[0]
        assert f'at step {saved}.' in output
        assert 'on 8 x cpu.' in output
        assert lines(tmp_path / 'run')[-1]['step'] == saved + 2
