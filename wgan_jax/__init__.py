"""GAN, WGAN and WGAN-GP in JAX and Flax.

Start with `algorithm/`: losses, optimizers with weight clipping, and the steps are the papers' Algorithm 1, and need nothing else
of the package. The rest, from the bottom up; a wing imports from those above it in this list only:

    errors         the exception whose message is for the user
    disk           files: read if regular and of bounded size, written whole, by one process at a time
    algorithm      losses, optimizers, noise, schedule, state, update, steps
    convolutions   the convolutions of all networks, faster than XLA's own on CPU
    models         the networks, by name
    data           sources of images, one uint8 array on disk, which images each step sees
    devices        pmap, compilation, several processes
    metrics        scores of samples; features/: feature networks; critic/: what the critic's numbers are worth; exact distances
    runs           a run and its files: config, experiment, checkpoints, record, resume
    export         python -m wgan_jax.export: a generator or a critic as one file
    sample         python -m wgan_jax.sample: pictures from a trained generator
    evaluate       python -m wgan_jax.evaluate: scores of a checkpoint
    report         python -m wgan_jax.report: one HTML page of one or more runs
    training       train.py: the trainer, the loop, compiled rounds, divergence, signals

From the command to the formula: train.main -> trainer.train -> Run.train (loop) -> Rounds.advance -> steps.train_rounds ->
train_round -> critic_step, generator_step -> update.
"""
