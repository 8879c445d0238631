"""WGAN-GP on points in the plane: eight Gaussians on a circle.

Source: gan_toy.py of the WGAN-GP authors (igul222/improved_wgan_training, commit fa66c57): the points, two latents, ReLU MLPs of
three layers, weight 0.1, batch 256, Adam with b1 = 0.5 and b2 = 0.9. Theirs have 512 units and a learning rate of 1e-4, for 100,000
rounds; 128 units and 1e-3 are ours, for a minute on a small machine. Their weights start from He's distribution, ours from
PyTorch's, with a sixth of the variance: the first generated points lie close together in the middle.

    python train.py --config=configs/toy_wgan_gp.py
    python train.py --config=configs/toy_wgan_gp.py --config.data.name=swiss_roll --workdir=runs/toy_swiss_roll    # or gaussians_25
    python train.py --config=configs/toy_wgan_gp.py --config.data.name=w1_funnels --workdir=runs/toy_funnels

Measured: 40 to 60 s on 2 cores. Expect all eight Gaussians with about equal weight, each a little narrower than the real one or
beside it; the estimate falls from 1.6 (mean of the first 100 steps) to 0.05. All of the 25 are found in as many steps.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """Returns the locked config."""
    config = default.get_config()
    config.num_steps = 3000
    config.batch_size = 256
    config.latent_dim = 2
    config.gp_weight = 0.1
    config.generator.bounded = False
    for player in (config.generator, config.critic):
        player.num_features, player.num_layers = 128, 3
    for optimizer in (config.generator_optimizer, config.critic_optimizer):
        optimizer.learning_rate = 1e-3
        optimizer.b1, optimizer.b2 = 0.5, 0.9
    config.data.name = 'gaussians_8'
    config.exact_points = 512
    config.sample_every = 100
    config.num_samples = 1000
    return config
