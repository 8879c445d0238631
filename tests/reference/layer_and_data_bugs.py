"""Bugs in networks, convolutions, several devices and data, for mutations.py: (name, file, old, new)."""

_SLOPE = 'nn.leaky_relu, negative_slope=0.2'
_VECTORS = 'jax.lax.stop_gradient(left.value), _product(matrix, jax.lax.stop_gradient(right.value))'
_BLOCK = 'y = nn.relu(normalize(self.norm, x, train, axis_name))\n            y = Conv('
_MATRICES = '    return tuple([[float(value)'
_ACTIVATE = 'return activation(normalize(norm, x, train, axis_name, scale_init=_scale))'

BUGS = [
    # Networks.
    (
        'a norm is missing in the critic',
        'models/dcgan',
        '_activate(x, activation, self.norm,',
        "_activate(x, activation, 'none',",
    ),
    (
        'norm after the activation',
        'models/dcgan',
        _ACTIVATE,
        'return normalize(norm, activation(x), train, axis_name, scale_init=_scale)',
    ),
    ('no biases where there is no batch norm', 'models/dcgan', "has_bias = self.norm != 'batch'", 'has_bias = False'),
    (
        'gradients of biases summed in bfloat16',
        'models/layers',
        'return (x + bias.reshape(',
        'return (x + bias.astype(x.dtype).reshape(',
    ),
    ("biases that start at 0 where PyTorch's do not", 'models/upsample_cnn', ", 'bias_init': torch_uniform(9 * x.shape[-1])", ''),
    (
        'the fans of a 3x3 convolution without its area',
        'models/upsample_cnn',
        'init = torch_uniform(9 * x',
        'init = torch_uniform(x',
    ),
    ("Glorot's distribution where the authors have He's", 'models/resnet', 'scaling(2.0,', 'scaling(1.0,'),
    ('layer norm over channels only', 'models/layers', 'axes = tuple(range(1, x.ndim))', 'axes = -1'),
    ('LeakyReLU with a slope of 0.01', 'models/bounded', _SLOPE, _SLOPE.replace('0.2', '0.01')),
    ("LeakyReLU with Keras's default slope", 'models/keras_cnn', 'x = nn.leaky_relu(x, 0.2)', 'x = nn.leaky_relu(x, 0.3)'),
    ('ReLU in place of LeakyReLU', 'models/keras_cnn', 'x = nn.leaky_relu(norm(x), 0.2)', 'x = nn.relu(norm(x))'),
    ('a stride of 1 in place of 2', 'models/keras_cnn', '(5, 5), strides=2', '(5, 5), strides=1'),
    (
        "padding of a strided convolution as PyTorch's padding=2",
        'models/keras_cnn',
        '(5, 5), strides=2',
        '(5, 5), strides=2, padding=2',
    ),
    (
        'the odd row of padding on the other side',
        'models/keras_cnn',
        'return missing // 2, missing - missing // 2',
        'return missing - missing // 2, missing // 2',
    ),
    (
        'a convolution without its padding',
        'models/upsample_cnn',
        'Conv(self.num_features * 2**i, (3, 3), padding=1',
        "Conv(self.num_features * 2**i, (3, 3), padding='VALID'",
    ),
    ('dropout of 0.2 in place of 0.3', 'models/keras_cnn', 'nn.Dropout(0.3,', 'nn.Dropout(0.2,'),
    (
        'the shortcut of a block after its first activation',
        'models/resnet',
        'x = shortcut + ConvBeforeMeanPool(',
        'x = nn.relu(shortcut) + ConvBeforeMeanPool(',
    ),
    (
        'real images and fakes share their masks',
        'algorithm/steps',
        'axis_name=axis_name, dropout_key=fake_key',
        'axis_name=axis_name, dropout_key=real_key',
    ),
    (
        'one layer of a spectral critic is plain',
        'models/mlp',
        'return linear(at_least_float32(x), 1)',
        'return _dense(x, 1, None)(x)',
    ),
    ('a kernel divided by its Frobenius norm', 'models/bounded', f'_product({_VECTORS})', 'jnp.linalg.norm(matrix)'),
    (
        'a largest singular value that counts as a constant',
        'models/bounded',
        f'_product({_VECTORS})',
        f'jax.lax.stop_gradient(_product({_VECTORS}))',
    ),
    ('singular vectors that are not kept', 'models/bounded', 'left.value, right.value = _power', '_ = _power'),
    ('singular vectors that change in inference mode', 'models/bounded', 'if train and not self.is_init', 'if not self.is_init'),
    ('an orthogonal convolution of overlapping patches', 'models/bounded', ' / math.sqrt(_patches_of_a_pixel(self.layer))', ''),
    ('the inverse of an orthogonal matrix', 'models/bounded', 'identity + upper - upper.T', 'identity + upper.T - upper'),
    ('the two values of MaxMin exchanged', 'models/bounded', 'jnp.stack([low, high]', 'jnp.stack([high, low]'),
    ('a sort that merges two rising runs', 'models/bounded', 'second = second[..., ::-1]', 'second = second'),
    ('a hinge without its margin', 'algorithm/losses', 'jax.nn.relu(1.0 - real_scores)', 'jax.nn.relu(-real_scores)'),
    # Convolutions.
    (
        'a wrong entry in the matrix for inputs of tiles',
        'convolutions/winograd',
        _MATRICES,
        '    exact[0][-1][-2] += Fraction(outputs == 4 and taps == 3, 8)\n' + _MATRICES,
    ),
    (
        'a wrong entry in the matrix for kernels of tiles',
        'convolutions/winograd',
        _MATRICES,
        '    exact[1][1][0] += Fraction(outputs == 2 and taps == 2, 8)\n' + _MATRICES,
    ),
    (
        'a wrong entry in the matrix for outputs of tiles',
        'convolutions/winograd',
        _MATRICES,
        '    exact[2][0][1] += Fraction(outputs == 4 and taps == 2, 8)\n' + _MATRICES,
    ),
    (
        'tiles with rows and columns exchanged',
        'convolutions/winograd',
        'taps = [_combine(for_kernel, list(row)) for row in _combine(for_kernel, list(kernel))]',
        'taps = [_combine(for_kernel, list(row)) for row in _combine(for_kernel, list(kernel.swapaxes(0, 1)))]',
    ),
    ('strided tiles shifted by a pixel', 'convolutions/winograd', '(low, 2 * (count', '(low + 1, -1 + 2 * (count'),
    (
        'a transposed convolution shifted by a pixel on CPU',
        'convolutions/cpu',
        'return outputs[:, padding : padding + rows, padding : padding + columns]',
        'return jnp.roll(outputs, 1, axis=1)[:, padding : padding + rows, padding : padding + columns]',
    ),
    (
        'a transposed convolution shifted by a pixel on GPU and TPU',
        'convolutions/cpu',
        'around = [(size - 1 - padding, size - 1 - padding)',
        'around = [(size - padding, size - 2 - padding)',
    ),
    ('a transposed convolution with its kernel turned', 'convolutions/cpu', 'lax.rev(kernel, (0, 1)),\n', 'kernel,\n'),
    (
        'the padding of a gradient on the other side',
        'convolutions/cpu',
        '(size - 1 - before, size - 1 - after)',
        '(size - 1 - after, size - 1 - before)',
    ),
    ('the gradient of a convolution with its kernel not turned', 'convolutions/cpu', 'lax.rev(kernel, (0, 1)).swap', 'kernel.swap'),
    (
        'patches with rows and columns exchanged',
        'convolutions/cpu',
        'for top in range(height)\n        for left in range(width)\n    ]\n    patches',
        'for left in range(width)\n        for top in range(height)\n    ]\n    patches',
    ),
    (
        'an upsampled convolution with its kernel turned',
        'convolutions/fused',
        'padded[tap : tap + outputs]',
        'padded[size - 1 - tap :][:outputs]',
    ),
    ('a mean pool that sums', 'convolutions/fused', '/ 4.0', '/ 2.0'),
    # Several devices.
    ('batch statistics of one device only', 'models/layers', 'axis_name=axis_name,', 'axis_name=None,'),
    (
        'metrics of one device only',
        'algorithm/update',
        'gradients, metrics = jax.lax.pmean((gradients, metrics), axis_name)',
        'gradients = jax.lax.pmean(gradients, axis_name)',
    ),
    (
        'the same part of the batch on every device',
        'devices/parallel',
        'parts[index] for index in own_devices()',
        'parts[0] for index in own_devices()',
    ),
    # Groups.
    (
        'the members of a group all have the order of one seed',
        'devices/parallel',
        'images, plans[:, plan]',
        'images, plans[:, 0]',
    ),
    (
        'a number that varies in a group is that of the first member',
        'runs/experiment',
        'generator, critic = self.optimizers(numbers)',
        'generator, critic = self.optimizers({})',
    ),
    (
        'a penalty weight that varies in a group is that of the first member',
        'runs/experiment',
        '{name: numbers.get(name, value) for name',
        '{name: value for name',
    ),
    (
        'a member of a group that waits is trained',
        'training/member_rounds',
        'alive and done == step for done',
        'alive for done',
    ),
    (
        'a member of a group at the place of another',
        'training/member_rounds',
        'stacked.reshape(self._shape[::-1] + stacked.shape[1:])',
        'stacked.reshape(self._shape[::-1] + stacked.shape[1:])[::-1]',
    ),
    # Data.
    ('images in another order than their files', 'data/images', 'pending.popleft()', 'pending.pop()'),
    ('files in the order of their names', 'data/files', 'return sorted(names, key=name_hash)', 'return sorted(names)'),
    ('files in another order', 'data/files', 'sorted(names, key=name_hash)', 'sorted(names, key=name_hash, reverse=True)'),
    ('the next epoch has the order of the next seed', 'data/plan', 'key=[seed, epoch]', 'key=[seed + epoch, 0]'),
    ('the plan begins with the second image', 'data/plan', 'start = before * batch_size', 'start = before * batch_size + 1'),
    (
        'images of the next rounds gathered in another order',
        'data/feed',
        'part.reshape(-1), axis=0',
        'part.reshape(-1)[::-1], axis=0',
    ),
    ('a crop shifted by a pixel', 'data/images', '(image.width - side) // 2,', '(image.width - side) // 2 + 1,'),
    ('the odd row of a crop on the other side', 'data/images', '(image.height - side) // 2', '(image.height - side + 1) // 2'),
    (
        'rows and columns exchanged in images',
        'data/images',
        'reshape(size, size, channels)',
        'reshape(size, size, channels).swapaxes(0, 1)',
    ),
    ('colours in the order of OpenCV', 'data/images', 'reshape(size, size, channels)', 'reshape(size, size, channels)[..., ::-1]'),
    # Keys for what tutorials do otherwise, and the statistics for images.
    (
        'noise on real images only',
        'algorithm/steps',
        'real, fake = (image_noise.add(images, keys[:, i], state.step) for i, images in enumerate((real, fake)))',
        'real = image_noise.add(real, keys[:, 0], state.step)',
    ),
    ('the same noise on real and on generated images', 'algorithm/steps', 'keys[:, i]', 'keys[:, 0]'),
    ('noise on images that grows', 'algorithm/noise', '1.0 - step / self.until', 'step / self.until'),
    (
        'normal and uniform alpha exchanged',
        'algorithm/noise',
        'jax.random.normal if normal_alpha else jax.random.uniform',
        'jax.random.uniform if normal_alpha else jax.random.normal',
    ),
    (
        'shared latents that are those of another round',
        'algorithm/noise',
        "update // sharing if player == 'critic' else update",
        'update',
    ),
    ("Adam without the config's epsilon", 'algorithm/optimizers', 'optax.adam(rate, b1, b2, eps=eps)', 'optax.adam(rate, b1, b2)'),
    ('a sum of statistics in place of their mean', 'algorithm/standing_statistics', 'total / num_batches', 'total'),
    (
        'standing statistics that are moved running ones',
        'algorithm/standing_statistics',
        'moved / (1 - momenta[_module(path)])',
        'moved',
    ),
]
