"""Which packages a wheel holds; everything else is in pyproject.toml, which cannot move a directory.

configs/ becomes wgan_jax/configs. Many projects have a directory configs/ at the top; two of them installed under that name would
overwrite each other's files. wgan_jax/runs/config_files.py gives it the name `configs` in the processes of our commands.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=['wgan_jax', 'wgan_jax.*']), 'wgan_jax.configs', 'wgan_jax.configs.sweeps'],
    package_dir={'wgan_jax.configs': 'configs'},
)
