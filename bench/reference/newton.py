"""Newton's method in the unit box (Bertsekas, SIAM J. Control Optim. 20(2), 1982), for the last digits of a minimum.

A coordinate on a bound to which the gradient drives it is held. The others take a Newton step with the absolute values
of the Hessian's eigenvalues. The step is projected onto the box and halved until the cost is lower. Central differences
of the exact gradient give the Hessian: its relative error of 1e-10 costs no digit of the result.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

DIFFERENCE_STEP = 1e-5  # the error of a difference is about step² + (rounding of a gradient) / step
MAX_ITERATIONS = 50  # from a quasi-Newton minimum it takes two or three
MAX_HALVINGS = 30
EIGENVALUE_TOL = 1e-12  # relative to the largest; a smaller eigenvalue is raised to this

Vector = Float[np.ndarray, " unknowns"]


def polish(
    value_and_grad: Callable[[Vector], tuple[float, Vector]],
    gradients: Callable[[Float[np.ndarray, "batch unknowns"]], Float[np.ndarray, "batch unknowns"]],
    v: Vector,
) -> Vector:
    """Return a point of no higher cost, where Newton's step lowers the cost no more."""
    cost, gradient = value_and_grad(v)
    for _ in range(MAX_ITERATIONS):
        held = ((v <= 0) & (gradient > 0)) | ((v >= 1) & (gradient < 0))
        free = np.flatnonzero(~held)
        if not len(free):
            return v
        step = np.zeros_like(v)
        step[free] = _newton_step(_hessian(gradients, v, free), gradient[free])
        for halving in range(MAX_HALVINGS):
            trial = np.clip(v + 0.5**halving * step, 0, 1)
            trial_cost, trial_gradient = value_and_grad(trial)
            if trial_cost < cost:
                break
        else:
            return v
        v, cost, gradient = trial, trial_cost, trial_gradient
    return v


def _hessian(gradients, v, free):
    """Rows and columns of the free coordinates, by differences inside the box: outside the cost is constant."""
    inside = np.clip(v, DIFFERENCE_STEP, 1 - DIFFERENCE_STEP)
    shifts = DIFFERENCE_STEP * np.eye(len(v))[free]
    rows = (gradients(inside + shifts) - gradients(inside - shifts))[:, free] / (2 * DIFFERENCE_STEP)
    return (rows + rows.T) / 2


def _newton_step(hessian, gradient):
    eigenvalues, vectors = np.linalg.eigh(hessian)
    sizes = np.abs(eigenvalues)
    return -vectors @ ((vectors.T @ gradient) / np.maximum(sizes, EIGENVALUE_TOL * sizes.max() + 1e-300))
