"""Distances between discrete distributions: those that GAN and WGAN minimise, worked out exactly. In numpy, float64.

A distribution is an array of probabilities; the functions that compare two take those over the same points. Two conventions of
the Jensen-Shannon divergence are in use, twice as large as each other. Goodfellow et al. 2014 (section 4.1, by way of equation 6)
weigh each half by 1/2, as nearly everybody does, and so does Arjovsky et al. 2017 in Example 1 and figure 1, where it is log 2;
their definition in section 2, KL(p, m) + KL(q, m), lacks the halves and would give 2 log 2 there.
"""

from typing import NamedTuple

import numpy as np
import scipy.optimize
import scipy.sparse
import scipy.spatial
from numpy.typing import ArrayLike

_TOLERANCE = 1e-6  # by which probabilities may miss 1: those of a float32 softmax do


class Transport(NamedTuple):
    """The cheapest way to turn one distribution into another."""

    cost: float
    plan: np.ndarray  # [N, M]: how much goes from each point of the first to each of the second


def cross_entropy(p: ArrayLike, q: ArrayLike) -> float:
    """-sum p log q, in nats: the least is the entropy of p, at q = p. Infinite where q is 0 and p is not.

    Args:
      p: probabilities [N].
      q: probabilities [N] of the same outcomes.

    Raises:
      ValueError: one is no distribution, or they are not over the same outcomes.
    """
    p, q = _pair(p, q)
    seen = p > 0  # 0 log 0 is 0
    with np.errstate(divide='ignore'):
        return float(-np.sum(p[seen] * np.log(q[seen])))


def kl_divergence(p: ArrayLike, q: ArrayLike) -> float:
    """KL(p || q) = sum p log(p / q), in nats; 0 or more, not symmetric, infinite where q is 0 and p is not.

    Arguments and errors as in cross_entropy, of which it is the part above the entropy of p.
    """
    p, q = _pair(p, q)
    seen = p > 0
    with np.errstate(divide='ignore'):
        return max(0.0, float(np.sum(p[seen] * (np.log(p[seen]) - np.log(q[seen])))))


def jensen_shannon(p: ArrayLike, q: ArrayLike) -> float:
    """(KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2, in nats: from 0 to log 2, where nothing is common to both.

    That of Goodfellow et al. 2014 and of Example 1 in Arjovsky et al. 2017. Arguments and errors as in cross_entropy.
    """
    return jensen_shannon_sum(p, q) / 2


def jensen_shannon_sum(p: ArrayLike, q: ArrayLike) -> float:
    """KL(p || m) + KL(q || m), without the halves: from 0 to 2 log 2 (Arjovsky et al. 2017, section 2)."""
    p, q = _pair(p, q)
    halves = ((part[part > 0], (p + q)[part > 0]) for part in (p, q))
    return max(0.0, float(sum(np.sum(part * np.log(2 * part / both)) for part, both in halves)))  # rounding may go below


def jensen_shannon_distance(p: ArrayLike, q: ArrayLike) -> float:
    """The square root of jensen_shannon, which is a metric (Endres and Schindelin 2003): from 0 to 0.833; scipy's jensenshannon."""
    return float(np.sqrt(jensen_shannon(p, q)))


def total_variation(p: ArrayLike, q: ArrayLike) -> float:
    """The largest difference in the probability of any event, sum |p - q| / 2: from 0 to 1 (Arjovsky et al. 2017, section 2)."""
    p, q = _pair(p, q)
    return float(np.sum(np.abs(p - q)) / 2)


def earth_movers_distance(p: ArrayLike, q: ArrayLike, costs: ArrayLike) -> Transport:
    """The least cost at which the mass of p becomes that of q: the Wasserstein-1 distance where costs are distances.

    Arjovsky et al. 2017, equation 1, as the linear program that it is; HiGHS solves it, up to about 1e-7 of the mass and of the
    largest cost. 300 points against 300 take some seconds; many more are for wasserstein_1d, or for a critic.

    Args:
      p: probabilities [N].
      q: probabilities [M].
      costs: of carrying one unit, [N, M]: see costs_between.

    Raises:
      ValueError: p or q is no distribution, or the costs are of another shape, or not finite.
      RuntimeError: the solver found no plan.
    """
    p, q = _distribution('p', p), _distribution('q', q)
    costs = np.asarray(costs, np.float64)
    if costs.shape != (len(p), len(q)):
        raise ValueError(f'costs must be [{len(p)}, {len(q)}], one from each point of p to each of q, not {list(costs.shape)}')
    if not np.isfinite(costs).all():
        raise ValueError('costs hold a number that is not finite')
    # The plan, row after row, is the unknown: its rows sum to p, its columns to q.
    rows = scipy.sparse.kron(scipy.sparse.eye_array(len(p)), np.ones((1, len(q))))
    columns = scipy.sparse.kron(np.ones((1, len(p))), scipy.sparse.eye_array(len(q)))
    sums = scipy.sparse.vstack([rows, columns], format='csr')
    scale = float(np.abs(costs).max()) or 1.0  # the solver's tolerances are absolute
    solved = scipy.optimize.linprog(costs.ravel() / scale, A_eq=sums, b_eq=np.concatenate([p, q]), method='highs')
    if solved.x is None:
        raise RuntimeError(f'no plan of transport was found: {solved.message}')
    plan = np.maximum(solved.x, 0.0).reshape(costs.shape)
    return Transport(float(np.sum(plan * costs)), plan)


def costs_between(x: ArrayLike, y: ArrayLike, metric: str = 'euclidean') -> np.ndarray:
    """The distance from each point x [N] or [N, D] to each point y [M] or [M, D], [N, M].

    Args:
      x: positions on a line, or in D dimensions.
      y: positions, likewise.
      metric: a name that scipy.spatial.distance.cdist knows: euclidean, cityblock, sqeuclidean, ...

    Raises:
      ValueError: positions of another shape, or not finite, or of different dimensions, or an unknown metric.
    """
    x, y = (points[:, None] if points.ndim == 1 else points for points in (np.asarray(x, np.float64), np.asarray(y, np.float64)))
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f'positions must be [N, D] and [M, D] with the same D, not {list(x.shape)} and {list(y.shape)}')
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError('positions hold a number that is not finite')
    return scipy.spatial.distance.cdist(x, y, metric)


def wasserstein_1d(x: ArrayLike, y: ArrayLike, p: ArrayLike | None = None, q: ArrayLike | None = None) -> float:
    """The Wasserstein-1 distance of two distributions on a line, in closed form: the area between their inverse CDFs.

    Args:
      x: positions [N].
      y: positions [M].
      p: probabilities [N] of x; None: all alike, as of samples.
      q: probabilities [M] of y, likewise.

    Raises:
      ValueError: positions are not finite and in one dimension, or p or q is no distribution over them.
    """
    positions, sums = [], []
    for name, points, weights in (('x', x, p), ('y', y, q)):
        points = np.asarray(points, np.float64)
        if points.ndim != 1 or not len(points) or not np.isfinite(points).all():
            raise ValueError(f'{name} must be positions [N] on a line, at least one and all finite, not {list(points.shape)}')
        weights = np.full(len(points), 1 / len(points)) if weights is None else _distribution(f'the weight of {name}', weights)
        if len(weights) != len(points):
            raise ValueError(f'{name} has {len(points)} positions and {len(weights)} weights')
        order = np.argsort(points)
        positions.append(points[order])
        sums.append(np.cumsum(weights[order]))
    # Between two neighbouring steps of either CDF both inverses are constant.
    steps = np.sort(np.concatenate([[0.0], *sums]))
    middles = (steps[1:] + steps[:-1]) / 2
    # A sum may end a rounding below 1.
    at_x, at_y = (
        where[np.minimum(np.searchsorted(sum_, middles), len(where) - 1)] for where, sum_ in zip(positions, sums, strict=True)
    )
    return float(np.sum(np.diff(steps) * np.abs(at_x - at_y)))


def _pair(p: ArrayLike, q: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    p, q = _distribution('p', p), _distribution('q', q)
    if len(p) != len(q):
        raise ValueError(f'p has {len(p)} outcomes and q {len(q)}: they must be the same')
    return p, q


def _distribution(name: str, values: ArrayLike) -> np.ndarray:
    """Checked, and brought to a sum of 1 as nearly as float64 can have it."""
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f'{name} must be probabilities [N], not of shape {list(values.shape)}')
    if not np.isfinite(values).all():
        raise ValueError(f'{name} holds a number that is not finite')
    if values.min() < 0:
        raise ValueError(f'{name} holds a negative probability, {values.min():.3g}')
    if abs(values.sum() - 1) > _TOLERANCE:
        raise ValueError(f'{name} sums to {values.sum():.6g} and not to 1: divide it by its sum')
    return values / values.sum()
