"""Bugs in points with known distances, in arrays of the user's own, and in code that a run brings; see mutations.py."""

BUGS = [  # (name, file, old, new)
    ('points moved along their rays by another power', 'data/funnels', 'relative ** (power - 1)', 'relative**power'),
    ('a funnel chosen by its distance alone', 'data/funnels', 'jnp.argmin(values)', 'jnp.argmin(values - biases)'),
    (
        'the exact distance of the averaged generator',
        'training/member',
        'self._generated(state.replace(ema=None), ',
        'self._generated(state, ',
    ),
    (
        'the same points at every log point',
        'training/exact_distance',
        'jax.random.fold_in(jax.random.fold_in(experiment.sample_key, _EXACT), step)',
        'jax.random.fold_in(experiment.sample_key, _EXACT)',
    ),
    ('held-out rows of an array that are trained on', 'data/user_array', '1 - holdout, ', '1 - holdout / 2, '),
    ('an array whose white is black', 'data/user_array', 'np.clip(scaled, 0, 1) * 255', '(1 - np.clip(scaled, 0, 1)) * 255'),
    ('code of a stranger that is executed', 'runs/own_code', 'if allowed is None or not allowed.exists():', 'if allowed is None:'),
    ('scores [B, 1] that are accepted', 'runs/players', 'if scores.shape != (_PILOT,):', 'if scores.size != _PILOT:'),
]
