"""Walks through latent space."""

import numpy as np

_ALMOST_PARALLEL = 1e-6  # sine of the angle


def slerp(one: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    """The point at `share` of the arc between two latent vectors (White 2016, "Sampling Generative Networks", section 2.1).

    Vectors of n independent normal entries have a norm near sqrt(n), with a standard deviation of only about 0.7. In the middle of
    a straight line the norm is smaller by sqrt(2): a generator has never seen such latents, and makes pale images of them. The arc
    keeps the norm.

    Args:
      one: [n], where share is 0.
      other: [n], where share is 1.
      share: from 0 to 1.

    Returns:
      [n], float64. Between parallel or opposite vectors, or if one is zero, the point on the straight line.
    """
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    norms = np.linalg.norm(one) * np.linalg.norm(other)
    angle = np.arccos(np.clip(one @ other / norms, -1.0, 1.0)) if norms else 0.0
    if np.sin(angle) < _ALMOST_PARALLEL:
        return (1.0 - share) * one + share * other
    return (np.sin((1.0 - share) * angle) * one + np.sin(share * angle) * other) / np.sin(angle)


def loop(stops: np.ndarray, frames: int) -> np.ndarray:
    """A closed walk through latents [N, n], with `frames` steps from each to the next and from the last to the first.

    Returns:
      [N * frames, n], float32; each stop occurs once, so the walk can be repeated.
    """
    following = np.roll(stops, -1, axis=0)
    pairs = zip(stops, following, strict=True)
    return np.array([slerp(one, other, i / frames) for one, other in pairs for i in range(frames)], np.float32)
