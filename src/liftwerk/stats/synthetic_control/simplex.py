"""Weights that are not negative and sum to one: synthetic control's only constraint."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.lazy import LazyModule

if TYPE_CHECKING:
    from scipy import optimize
else:
    optimize = LazyModule("scipy.optimize")

Floats: TypeAlias = NDArray[np.float64]


class Simplex:
    r"""Least squares over the simplex, for many targets and one set of columns.

    To find

    .. math:: \min_w \| A w - b \|^2, \quad w \ge 0, \; 1'w = 1

    let :math:`C = A - b 1'`, so that :math:`A w - b = C w` for weights that sum to one. For
    :math:`x = s w` with w in the simplex,

    .. math:: \| C x \|^2 + (1'x - 1)^2 = s^2 \| C w \|^2 + (s - 1)^2

    is least at :math:`s = 1 / (1 + \|Cw\|^2)`, where it is
    :math:`\|Cw\|^2 / (1 + \|Cw\|^2)`: a growing function of what we want least. So non-negative
    least squares of the stacked rows, divided by its sum, is the exact answer, without a row whose
    weight would have to be large. A QR factorisation, made once, leaves as many rows as columns.

    Parameters
    ----------
    columns : (periods, donors) float array

    Examples
    --------
    >>> Simplex(np.array([[1.0, 0.0], [0.0, 1.0]])).weights(np.array([0.75, 0.25]))
    array([0.75, 0.25])
    """

    def __init__(self, columns: Floats) -> None:
        self._turned, self._triangle = np.linalg.qr(columns)
        size = float(np.linalg.norm(self._triangle)) / np.sqrt(columns.shape[1])
        self._scale = 1.0
        if size > 0.0:
            self._scale = size

    def weights(self, target: Floats) -> Floats:
        """Find the weights whose mixture of the columns is nearest to a target.

        Parameters
        ----------
        target : (periods,) float array

        Returns
        -------
        (donors,) float array
            Not negative; their sum is 1.
        """
        inside = self._turned.T @ target
        outside = float(target @ target) - float(inside @ inside)
        rows = np.empty((self._triangle.shape[0] + 2, self._triangle.shape[1]))
        rows[:-2] = (self._triangle - inside[:, None]) / self._scale
        rows[-2] = np.sqrt(max(outside, 0.0)) / self._scale
        rows[-1] = 1.0
        goal = np.zeros(rows.shape[0])
        goal[-1] = 1.0
        found, _ = optimize.nnls(rows, goal)
        return np.asarray(found / found.sum(), dtype=np.float64)
