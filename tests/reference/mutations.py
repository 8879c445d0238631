"""Bugs, most of them known from published GAN code, as changes of this code; mutate.py shows that the tests notice each of them."""

import itertools
from pathlib import Path
from typing import NamedTuple

from tests.reference import layer_and_data_bugs, points_and_code_bugs

PACKAGE = Path(__file__).parents[2] / 'wgan_jax'


class Mutation(NamedTuple):
    """A bug: in `file`, `old` becomes `new`."""

    name: str
    file: str
    old: str
    new: str


_CRITIC_PASSES = """        fake_scores, batch_stats = apply(
            critic.replace(batch_stats=batch_stats), params, fake, axis_name=axis_name, dropout_key=fake_key
        )
"""
_MIXED_PASSES = """        both = jnp.concatenate([real, fake])
        both, batch_stats = apply(critic, params, both, axis_name=axis_name, dropout_key=fake_key)
        real_scores, fake_scores = jnp.split(both, 2)
"""
_ROUND = """    state, critic_metrics = jax.lax.scan(body, state, real)
    state, generator_metrics = generator_step(state, key, batch_size=real.shape[1], ema_decay=ema_decay, **game)
"""
_OLD_CRITIC = """    before = state.critic
    state, critic_metrics = jax.lax.scan(body, state, real)
    trained = state.critic
    state = state.replace(critic=before)
    state, generator_metrics = generator_step(state, key, batch_size=real.shape[1], ema_decay=ema_decay, **game)
    state = state.replace(critic=trained)
"""
_KEPT = 'state.replace(critic=updated), metrics'
_FAKE_KEPT = """state.replace(
        critic=updated,
        generator=state.generator.replace(
            batch_stats=apply(state.generator, state.generator.params, drawn.latents, axis_name=axis_name)[1]
        ),
    ), metrics"""
_EXACT = """    step = jnp.where(jnp.abs(param + step) > bound, inward, step)
        return jnp.where(jnp.abs(param + step) > bound, -param, step)"""
_CLIP_LAST = 'return optax.chain(optimizer, clip)'
_CLIP_FIRST = """
    return optax.GradientTransformation(
        optimizer.init,
        lambda updates, state, params: (
            lambda new, later: (jax.tree.map(lambda p, u: jnp.clip(p, -clip_value, clip_value) + u - p, params, new), later)
        )(*optimizer.update(updates, state, params)),
    )"""
_CLIP_UPDATES = 'return jax.tree.map(lambda u: jnp.clip(u, -clip_value, clip_value), updates), state'

MUTATIONS = [
    Mutation(
        'critic loss with the wrong sign',
        'algorithm/losses',
        'jnp.mean(fake_scores) - jnp.mean(real_scores)',
        'jnp.mean(real_scores) - jnp.mean(fake_scores)',
    ),
    Mutation(
        'generator loss with the wrong sign', 'algorithm/losses', 'return -jnp.mean(fake_scores)', 'return jnp.mean(fake_scores)'
    ),
    Mutation(
        'labels of real and fake exchanged',
        'algorithm/losses',
        'jnp.mean(jax.nn.softplus(-real_logits)) + jnp.mean(jax.nn.softplus(fake_logits))',
        'jnp.mean(jax.nn.softplus(real_logits)) + jnp.mean(jax.nn.softplus(-fake_logits))',
    ),
    Mutation(
        'only half of the cross entropy',
        'algorithm/losses',
        'jnp.mean(jax.nn.softplus(-real_logits)) +',
        '0.5 * jnp.mean(jax.nn.softplus(-real_logits)) + 0.5 *',
    ),
    Mutation(
        'minimax loss with the wrong sign',
        'algorithm/losses',
        'return -jnp.mean(jax.nn.softplus(fake_logits))',
        'return jnp.mean(jax.nn.softplus(fake_logits))',
    ),
    Mutation(
        'minimax called non-saturating',
        'algorithm/losses',
        'AdversarialLoss(cross_entropy_critic_loss, non_saturating_generator_loss, gives_logits=True)',
        'AdversarialLoss(cross_entropy_critic_loss, minimax_generator_loss, gives_logits=True)',
    ),
    Mutation(
        'slope over the whole batch',
        'algorithm/losses',
        'optax.safe_norm(gradients, 0.0, axis=1)',
        'optax.safe_norm(gradients, 0.0)',
    ),
    Mutation(
        'slope over channels only',
        'algorithm/losses',
        'jnp.float32)).reshape(gradients.shape[0], -1)',
        'jnp.float32)).reshape(-1, gradients.shape[-1])',
    ),
    Mutation(
        'slope squared instead of its root',
        'algorithm/losses',
        'slopes = optax.safe_norm(gradients, 0.0, axis=1)',
        'slopes = jnp.sum(jnp.square(gradients), axis=1)',
    ),
    Mutation(
        'norm without a guard at zero',
        'algorithm/losses',
        'optax.safe_norm(gradients, 0.0, axis=1)',
        'jnp.linalg.norm(gradients, axis=1)',
    ),
    Mutation(
        'slopes averaged before they are squared', 'algorithm/losses', 'excess = slopes - 1.0', 'excess = jnp.mean(slopes) - 1.0'
    ),
    Mutation(
        'slopes of the mean score',
        'algorithm/losses',
        'lambda images: jnp.sum(score(images))',
        'lambda images: jnp.mean(score(images))',
    ),
    Mutation('one-sided penalty of the wrong side', 'algorithm/losses', 'jnp.maximum(excess, 0.0)', 'jnp.minimum(excess, 0.0)'),
    Mutation(
        'extrapolates instead of interpolates', 'algorithm/losses', 'real + alpha * (fake - real)', 'real - alpha * (fake - real)'
    ),
    Mutation('alpha and 1 - alpha exchanged', 'algorithm/losses', 'real + alpha * (fake - real)', 'fake + alpha * (real - fake)'),
    Mutation('penalty at real images only', 'algorithm/losses', 'return real + alpha * (fake - real)', 'return real'),
    Mutation('penalty without its weight', 'algorithm/steps', 'total += gp_weight * penalty', 'total += penalty'),
    Mutation(
        'one alpha per batch',
        'algorithm/noise',
        '_local_rows(jax.random.normal if normal_alpha else jax.random.uniform, alpha_key, batch_size, (), axis_name)',
        'jnp.full(batch_size, jax.random.uniform(alpha_key))',
    ),
    Mutation(
        'alpha normal instead of uniform', 'algorithm/noise', 'else jax.random.uniform, alpha', 'else jax.random.normal, alpha'
    ),
    Mutation('latents uniform instead of normal', 'algorithm/noise', 'jax.random.normal, latent', 'jax.random.uniform, latent'),
    Mutation('the same noise in all critic steps of a round', 'algorithm/steps', "'critic', critic.step,", "'critic', state.step,"),
    Mutation(
        'the generator draws the same latents in every round', 'algorithm/steps', "'generator', generator.step,", "'generator', 0,"
    ),
    Mutation('critic and generator share their noise', 'algorithm/noise', '_PLAYERS.index(player)', '0'),
    Mutation('every device draws the same latents', 'algorithm/noise', 'jax.lax.axis_index(axis_name) * rows, rows)', '0, rows)'),
    Mutation(
        'the same real batch in all critic steps',
        'algorithm/steps',
        'critic_step(state, batch, key,',
        'critic_step(state, real[0], key,',
    ),
    Mutation('the generator meets the old critic', 'algorithm/steps', _ROUND, _OLD_CRITIC),
    Mutation('metrics of the first critic step', 'algorithm/steps', 'lambda values: values[-1]', 'lambda values: values[0]'),
    Mutation(
        'estimate with the wrong sign',
        'algorithm/steps',
        'real_score - fake_score}',
        'fake_score - real_score}',
    ),
    Mutation('batch norm mixes real and fake', 'algorithm/steps', _CRITIC_PASSES, _MIXED_PASSES),
    Mutation(
        'batch norm forgets the real batch',
        'algorithm/steps',
        'critic.replace(batch_stats=batch_stats), params, fake',
        'critic, params, fake',
    ),
    Mutation(
        'players trained in inference mode', 'algorithm/state', 'inputs, train=True, axis_name', 'inputs, train=False, axis_name'
    ),
    Mutation('the critic step keeps statistics of the generator', 'algorithm/steps', _KEPT, _FAKE_KEPT),
    Mutation('gradients summed over devices', 'algorithm/update', 'jax.lax.pmean((gradients,', 'jax.lax.psum((gradients,'),
    Mutation('gradients of all parts summed', 'algorithm/update', 'lambda total: total / num_parts', 'lambda total: total'),
    Mutation(
        'gradients of one device only', 'algorithm/update', 'jax.lax.pmean((gradients, metrics), axis_name)', 'gradients, metrics'
    ),
    Mutation('averaged weights the wrong way round', 'algorithm/steps', '1.0 - ema_decay)', 'ema_decay)'),
    Mutation('clipping before the update', 'algorithm/optimizers', _CLIP_LAST, _CLIP_FIRST.strip()),
    Mutation(
        'clipping of the updates',
        'algorithm/weight_clipping',
        'return jax.tree.map(update_leaf, updates, params), state',
        _CLIP_UPDATES,
    ),
    Mutation(
        'clipping from one side',
        'algorithm/weight_clipping',
        'jnp.clip(param + update, -bound, bound)',
        'jnp.minimum(param + update, bound)',
    ),
    Mutation('clipping an ulp too wide', 'algorithm/weight_clipping', _EXACT, '    return step'),
    Mutation(
        "optax's own RMSProp",
        'algorithm/optimizers',
        'optax.rmsprop(learning_rate, decay=0.99, eps=eps, eps_in_sqrt=False, initial_scale=0.0)',
        'optax.rmsprop(learning_rate)',
    ),
    Mutation("epsilon inside RMSProp's root", 'algorithm/optimizers', 'eps_in_sqrt=False', 'eps_in_sqrt=True'),
    Mutation(
        "optax's own AMSGrad",
        'algorithm/optimizers',
        'optax.chain(scale_by_amsgrad(b1, b2, eps), optax.scale_by_learning_rate(rate))',
        'optax.amsgrad(rate, b1, b2)',
    ),
    Mutation("Adam's betas ignored", 'algorithm/optimizers', 'optax.adam(rate, b1, b2, eps=eps)', 'optax.adam(rate)'),
    Mutation(
        'images drawn with replacement',
        'data/plan',
        'generator.permutation(num_images).astype(np.int32)',
        'generator.integers(0, num_images, num_images).astype(np.int32)',
    ),
    Mutation('every epoch in the same order', 'data/plan', 'key=[seed, epoch]', 'key=[seed, 0]'),
    Mutation(
        'images in [0, 1]', 'algorithm/steps', 'images.astype(jnp.float32) / 127.5 - 1.0', 'images.astype(jnp.float32) / 255.0'
    ),
    Mutation(
        'bilinear enlarging with half-pixel centres',
        'models/layers',
        'np.arange(2 * size) * (size - 1) / (2 * size - 1)',
        'np.clip(np.arange(2 * size) / 2 - 0.25, 0, size - 1)',
    ),
    Mutation(
        "batch norm with Keras's constants in PyTorch's networks",
        'models/layers',
        'momentum: float = 0.9',
        'momentum: float = 0.99',
    ),
    *itertools.starmap(Mutation, [*layer_and_data_bugs.BUGS, *points_and_code_bugs.BUGS]),
]


def mutated(mutation: Mutation) -> str:
    """The whole file with the bug.

    Raises:
      ValueError: the code has changed, so the mutation must be adapted.
    """
    source = (PACKAGE / f'{mutation.file}.py').read_text()
    if source.count(mutation.old) != 1:
        raise ValueError(
            f'{mutation.name}: the code to change occurs {source.count(mutation.old)} times in {mutation.file}.py, not once'
        )
    return source.replace(mutation.old, mutation.new)
