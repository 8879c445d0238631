from wgan_jax.evaluate import __main__ as program
from wgan_jax.evaluate import command


def test_evaluations_with_other_weights_stand_beside_each_other():
    report = {'step': 5, 'protocol': {'features': 'celeba_attributes', 'num_samples': 60, 'weights_sha256': '0123456789abcdef'}}
    arguments = program.parse(['RUN', '--features=celeba_attributes', '--weights=A.npz', '--seed=2'])
    assert command._file_name(report, arguments) == 'step_000005_celeba_attributes_60_seed_2_weights_01234567.json'
    assert command._file_name(report, program.parse(['RUN', '--raw'])) == 'step_000005_celeba_attributes_60_raw.json'
