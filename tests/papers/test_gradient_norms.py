"""The numbers of the figure against plain differentiation and the weights themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from papers import gradient_norms
from papers.shared.output import Options
from tests.papers.rows import rows_of
from wgan_jax.data import toys
from wgan_jax.data.source import POINT_SHAPE

SIZE = gradient_norms.Size(num_layers=2, num_features=6, batch_size=64, num_rounds=30)
POINTS = toys.TOYS['swiss_roll'](4096, 3).reshape(-1, *POINT_SHAPE)


def norms_by_hand(critic, images, sign):
    """[N, layers + 1]: the norms of the score's gradient with respect to each layer's output and, last, to the point."""

    def score(points):
        x = points[0]
        for i, added in enumerate(points[1:]):
            layer = critic.params[f'Dense_{i}']
            x = x @ layer['kernel'] + layer['bias'] + added
            x = jnp.maximum(x, 0.0) if i < SIZE.num_layers else x
        return sign * x[0]

    widths = [layer['bias'].shape for _, layer in sorted(critic.params.items())]
    gradients = jax.vmap(lambda image: jax.grad(score)([image.reshape(-1), *map(jnp.zeros, widths)]))(images)
    return np.stack([np.linalg.norm(leaf, axis=1) for leaf in (*gradients[:0:-1], gradients[0])], axis=1)


@pytest.mark.slow
def test_norms_are_those_of_the_score_and_clipping_bounds_the_weights():
    state = gradient_norms.train(SIZE, 0.05, POINTS)
    assert state.critic.step == 5 * SIZE.num_rounds
    assert state.generator.step == SIZE.num_rounds
    found = gradient_norms.measure(state, 0.05, POINTS, SIZE)
    # These are other latents than in `measure`, so the results differ by sampling noise.
    latents = jax.random.normal(jax.random.key(9), (4096, 2))
    fake = state.generator.apply_fn({'params': state.generator.params}, latents, train=False)
    expected = np.concatenate([norms_by_hand(state.critic, POINTS, -1), norms_by_hand(state.critic, fake, 1)]).mean(axis=0)
    np.testing.assert_allclose(found['gradient_norms'], expected, rtol=0.03)
    weights = np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(state.critic.params)])
    np.testing.assert_allclose(found['weight_edges'][[0, -1]], [-0.05, 0.05], rtol=1e-5)
    assert found['weight_counts'][-1] == np.sum(weights >= found['weight_edges'][-2])


@pytest.mark.slow
def test_the_files_have_the_numbers_of_the_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gradient_norms, 'METHODS', {'clipping, c = 0.1': 0.1, 'gradient penalty': None})
    gradient_norms.draw(Options(tmp_path, quick=True), SIZE._replace(num_rounds=2))
    rows = rows_of(tmp_path / 'gradient_norms.csv')
    assert [row['layer'] for row in rows] == ['3', '2', '1', '0']
    np.testing.assert_allclose([float(rows[0][name]) for name in gradient_norms.METHODS], 1.0, rtol=1e-5)
    factor = float(rows[2]['gradient penalty']) / float(rows[0]['gradient penalty'])
    assert f'{factor:.2g} (gradient penalty)' in capsys.readouterr().out
    assert (tmp_path / 'gradient_norms.png').stat().st_size > 10_000
    counts = [int(row['gradient penalty: weights']) for row in rows_of(tmp_path / 'gradient_norms_weights.csv')]
    assert sum(counts) == 2 * 6 + 6 + 6 * 6 + 6 + 6 + 1
