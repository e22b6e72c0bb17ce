"""A task that counts its simulated steps, which measures what a method spends, whatever it declares."""

import jax
import jax.numpy as jnp

from tasks.base import AbstractTask, ControlVar, StateVar


class Counter:
    """A count of simulated and of differentiated steps, correct under jit, vmap and scan."""

    def __init__(self):
        self.steps = self.grad_steps = 0

        def seen(x):
            jax.debug.callback(lambda _: self._add(1, 0), x[0])
            return x

        def forward(x):
            return seen(x), None

        def backward(_, adjoint):
            jax.debug.callback(lambda _: self._add(0, 1), adjoint[0])
            return (adjoint,)

        self.tap = jax.custom_vjp(seen)
        self.tap.defvjp(forward, backward)

    def _add(self, steps, grad_steps):
        self.steps += steps
        self.grad_steps += grad_steps

    def spent(self) -> tuple[int, int]:
        """Return (steps, differentiated steps) since the last call."""
        jax.effects_barrier()
        found = self.steps, self.grad_steps
        self.steps = self.grad_steps = 0
        return found


def counting_task(counter: Counter) -> AbstractTask:
    """Return a task whose vector field is evaluated, and counted, once per control interval (Euler, one substep)."""

    class Counted(AbstractTask):
        states = (StateVar("position", 1.0, -2.0, 2.0), StateVar("velocity", 0.0, -2.0, 2.0))
        controls = (ControlVar("force", -1.0, 1.0), ControlVar("brake", 0.0, 1.0))
        horizon: float = 2.0
        num_steps: int = 4
        solver: str = "euler"
        substeps: int = 1

        def vector_field(self, t, x, u):
            x = counter.tap(x)
            return jnp.stack([x[1], u[0] - u[1] * x[1]])

        def running_cost(self, t, x, u):
            return x[0] ** 2 + x[1] ** 2 + u[0] ** 2 + u[1] ** 2

        def terminal_cost(self, x):
            return x[0] ** 2

    return Counted()  # pyright: ignore[reportCallIssue]  # the type checker takes class variables for fields
