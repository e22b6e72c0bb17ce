"""Newton's method in the unit box (Bertsekas, SIAM J. Control Optim. 20(2), 1982), for the last digits of a minimum.

A coordinate on a bound to which the gradient drives it is held; the others take a Newton step, whose Hessian has the
absolute values of its eigenvalues, halved until the cost, projected onto the box, is lower. The Hessian is made of
central differences of the exact gradient: its error of 1e-10 relative costs no digit of the result.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

SPAN = 1e-5  # of the differences: their error is about SPAN² + (rounding of a gradient) / SPAN
MOST = 50  # iterations; from a quasi-Newton minimum it takes two or three
HALVINGS = 30
SMALLEST = 1e-12  # eigenvalue that counts, relative to the largest

Vector = Float[np.ndarray, " unknowns"]


def polish(
    value_and_grad: Callable[[Vector], tuple[float, Vector]],
    gradients: Callable[[Float[np.ndarray, "batch unknowns"]], Float[np.ndarray, "batch unknowns"]],
    v: Vector,
) -> Vector:
    """A point of no higher cost, at which Newton's step lowers the cost no more."""
    cost, gradient = value_and_grad(v)
    for _ in range(MOST):
        held = ((v <= 0) & (gradient > 0)) | ((v >= 1) & (gradient < 0))
        free = np.flatnonzero(~held)
        if not len(free):
            return v
        step = np.zeros_like(v)
        step[free] = _newton_step(_hessian(gradients, v, free), gradient[free])
        for halving in range(HALVINGS):
            trial = np.clip(v + 0.5**halving * step, 0, 1)
            trial_cost, trial_gradient = value_and_grad(trial)
            if trial_cost < cost:
                break
        else:
            return v
        v, cost, gradient = trial, trial_cost, trial_gradient
    return v


def _hessian(gradients, v, free):
    """Rows and columns of the free coordinates; differenced inside the box, outside of which the cost is constant."""
    inside = np.clip(v, SPAN, 1 - SPAN)
    shifts = SPAN * np.eye(len(v))[free]
    rows = (gradients(inside + shifts) - gradients(inside - shifts))[:, free] / (2 * SPAN)
    return (rows + rows.T) / 2


def _newton_step(hessian, gradient):
    eigenvalues, vectors = np.linalg.eigh(hessian)
    sizes = np.abs(eigenvalues)
    return -vectors @ ((vectors.T @ gradient) / np.maximum(sizes, SMALLEST * sizes.max() + 1e-300))
