"""Every key with its default: WGAN-GP on the digits of scikit-learn. Other configs start from these and change some keys."""

from ml_collections import ConfigDict, config_dict


def get_config() -> ConfigDict:
    """Returns the default config, locked: a misspelt key is an error here and on the command line."""
    config = ConfigDict()

    config.code = config_dict.placeholder(str)  # Python file that registers networks, losses, ... of your own (wgan_jax.extend)
    config.seed = 0  # of the initialisation, the order of the images, the latents, alpha and dropout
    config.interval_unit = 'rounds'  # or epochs: of num_steps, log_every, sample_every, checkpoint_every and eval_every
    config.num_steps = 10_000  # rounds: each is n_critic critic updates and one generator update
    config.batch_size = 64  # images per critic update, over all devices; a multiple of the number of devices
    config.grad_accumulation = (
        1  # parts into which each device divides its share of a batch: less memory, same update but for dropout
    )
    config.batch_norm_per_part = False  # allow grad_accumulation > 1 with batch norm: statistics per part, another update
    config.n_critic = 5  # critic updates per generator update
    config.boost = ConfigDict()  # rounds with more critic updates, as in the WGAN authors' code
    config.boost.n_critic = config_dict.placeholder(int)  # critic updates of a boosted round (the authors: 100); None: no boost
    config.boost.until = config_dict.placeholder(int)  # rounds before this one are boosted (the authors: 25)
    config.boost.every = config_dict.placeholder(int)  # so is every round whose number is a multiple of this (the authors: 500)
    config.latent_dim = 100  # size of the generator's input, drawn from N(0, 1)
    config.shared_images = False  # the critic updates of a round share one batch of images, as in some tutorials
    config.shared_latents = False  # all updates of a round, the generator's too, share one batch of latents, as in some tutorials

    # The objective. GAN, WGAN and WGAN-GP differ in loss, clip_value and gp_weight.
    config.loss = 'wasserstein'  # minimax, non_saturating (the -log D trick), hinge or wasserstein
    config.clip_value = config_dict.placeholder(float)  # WGAN: clip critic weights to [-c, c]; None: no clipping
    config.clip_batch_norm = True  # clip the critic's batch norm too, as the WGAN authors do
    config.gp_weight = 10.0  # WGAN-GP: weight of the gradient penalty; 0: no penalty
    config.gp_one_sided = False  # penalise slopes above 1 only (WGAN-LP)
    config.gp_alpha = 'uniform'  # position of the penalised points; normal, as in Keras's example: mostly outside of the segment
    config.image_noise = 0.0  # std of noise on the images that the critic sees (Arjovsky and Bottou 2017, section 3); 0: none
    config.image_noise_until = config_dict.placeholder(int)  # rounds until this noise has faded; None: it does not fade
    config.ema_decay = config_dict.placeholder(float)  # decay of the generator's exponential average, which is sampled; None: none

    config.deterministic = False  # on GPU: only algorithms that give the same bits each time (may be slower); CPU and TPU do

    # The players and their optimizers.
    config.dtype = 'float32'  # float32 or bfloat16: precision of the networks; weights, statistics and losses stay float32
    config.generator = _network()
    config.critic = _network()
    config.generator_optimizer = _optimizer()
    config.critic_optimizer = _optimizer()

    config.data = _data()

    # What a run writes; intervals in rounds, unless interval_unit says epochs. The last round is always logged, sampled and saved.
    config.log_every = 100  # a line of metrics.jsonl: means over the rounds since the previous line
    config.exact_points = config_dict.placeholder(int)  # points of each kind whose exact distance is logged too; None: none
    config.sample_every = 1000  # a grid of images
    config.num_samples = 64  # images in a grid
    config.standing_batches = 16  # of 64 latents, for the statistics of batch norm in images, at most 1000; 0: the running ones
    config.checkpoint_every = 1000  # a checkpoint to resume from
    config.checkpoints_to_keep = 3  # the newest ones; a checkpoint of where the run was stopped does not count

    # Scores while training; python -m wgan_jax.evaluate computes the same afterwards.
    config.eval_every = config_dict.placeholder(int)  # None: no scores while training
    config.eval_num_samples = 10_000  # number of generated images
    config.eval_features = config_dict.placeholder(str)  # digits_cnn, mnist_cnn, celeba_attributes, inception, none; None: by data
    config.eval_weights = config_dict.placeholder(str)  # file with the weights of inception or celeba_attributes; None: search
    config.best_metric = config_dict.placeholder(str)  # a score, such as fd_mnist_cnn: also keep the best checkpoint by it

    # When a loss or a parameter is no longer finite.
    config.on_nan = 'stop'  # stop, or rewind: go back to the last checkpoint and continue with other noise
    config.max_rewinds = 3  # in the whole run; then it stops

    return config.lock()


def _data() -> ConfigDict:
    data = ConfigDict()
    # array, celeba, digits, folder, gaussians_8, gaussians_25, lsun_bedroom, mnist, swiss_roll or w1_funnels. None below: the set's
    # own default.
    # A key with names in brackets applies to these sets only.
    data.name = 'digits'
    data.dir = config_dict.placeholder(str)  # of prepared data sets; None: $TFDS_DATA_DIR, or ~/tensorflow_datasets
    data.manual_dir = config_dict.placeholder(str)  # directory of files fetched by hand; None: download
    data.folder = config_dict.placeholder(str)  # your images, a directory or a zip archive (folder)
    data.file = config_dict.placeholder(str)  # your images or points, a .npy or .npz file (array)
    data.array = config_dict.placeholder(str)  # name of the array in an .npz file that holds several (array)
    data.value_range = config_dict.placeholder(str)  # 'BLACK,WHITE', such as '0,1'; None: uint8 images, or points (array)
    data.image_shape = config_dict.placeholder(str)  # such as '28x28x1'; None: as in the file (array)
    data.split = config_dict.placeholder(str)  # None: train, or all for digits
    # Share of the images to train on: exactly this share, chosen by the official number or the name of each image and not by
    # config.seed, so that all seeds, and all ways in which a data set may come, have the same images.
    data.fraction = 1.0
    data.image_size = config_dict.placeholder(int)  # height and width after resizing (celeba, folder, lsun_bedroom)
    data.crop = config_dict.placeholder(int)  # side of the centre square that is cut out and resized (celeba)
    data.channels = config_dict.placeholder(int)  # 3: colour, 1: grey (folder)
    data.holdout = config_dict.placeholder(float)  # share of the images held out of training (array, folder)
    data.strict = config_dict.placeholder(bool)  # make a file that cannot be used an error (celeba, folder, lsun_bedroom)
    data.dimension = config_dict.placeholder(int)  # of the points: 2, 4, 8, ..., 128 (w1_funnels)
    data.funnels = config_dict.placeholder(int)  # 4, 16, 64 or 256: of the critic that is known (w1_funnels)
    data.placement = 'auto'  # device, host (gathered ahead of each call), or auto: device if the images fit in half its memory
    return data


def _network() -> ConfigDict:
    network = ConfigDict()
    network.network = 'mlp'  # dcgan, keras_cnn, mlp, resnet or upsample_cnn; below, None: the network's own default
    network.num_features = config_dict.placeholder(int)  # width: filters or units of the base layer
    network.num_layers = config_dict.placeholder(int)  # hidden layers (mlp)
    network.num_extra_layers = config_dict.placeholder(int)  # 3x3 convolutions at half the image's size (dcgan)
    network.constant_width = config_dict.placeholder(bool)  # the same number of filters in every hidden layer (dcgan)
    network.bounded = config_dict.placeholder(bool)  # the generator ends in tanh; False for points in the plane (mlp)
    network.norm = config_dict.placeholder(str)  # batch, layer or none (all but keras_cnn)
    # What bounds a critic's slopes by its layers (the critics of dcgan, mlp and upsample_cnn), instead of clip_value and gp_weight.
    network.weights = config_dict.placeholder(str)  # plain, spectral (divided by their norm) or orthogonal
    network.power_iterations = config_dict.placeholder(int)  # of spectral weights, for each pass
    network.activation = config_dict.placeholder(str)  # relu or leaky_relu; max_min or full_sort, which keep gradients' norms
    network.norm_after_activation = config_dict.placeholder(bool)  # activation, then norm, instead of the other way round (dcgan)
    network.transposed_extra_layers = config_dict.placeholder(bool)  # the extra layers are transposed (dcgan's generator)
    return network


def _optimizer() -> ConfigDict:
    optimizer = ConfigDict()
    optimizer.name = 'adam'  # adam, amsgrad or rmsprop, each as PyTorch computes it
    optimizer.learning_rate = 1e-4
    optimizer.b1 = 0.0  # decay of the first moment (rmsprop has none)
    optimizer.b2 = 0.9  # decay of the second moment (rmsprop: always 0.99)
    optimizer.eps = 1e-8  # added to the root of the second moment (Keras: 1e-7)
    return optimizer
