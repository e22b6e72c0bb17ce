"""A block of seeds: one program's batch on a GPU, one after the other on a CPU."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np


class SeedsTogether:
    """A block of seeds as one program's batch: a single key, of all of them, and a single state."""

    def __init__(self, seeds: tuple[int, ...]):
        init_keys, step_keys = jax.vmap(jr.split, out_axes=1)(jax.vmap(jr.key)(jnp.array(seeds)))
        self.init_keys, self.step_keys = [init_keys], [step_keys]

    def program(self, function: Callable, axes: tuple[int | None, ...]) -> Callable:
        return jax.vmap(function, axes)

    def shapes(self, of_program: Any) -> Any:
        return of_program

    def split(self, state: Any) -> list[Any]:
        return [state]

    def join(self, states: list[Any]) -> Any:
        return states[0]


class SeedsInTurn:
    """A block of seeds one by one: a key and a state for each. Joined, their states have the seeds as first axis."""

    def __init__(self, seeds: tuple[int, ...]):
        self.init_keys, self.step_keys = zip(*(jr.split(jr.key(seed)) for seed in seeds), strict=True)

    def program(self, function: Callable, axes: tuple[int | None, ...]) -> Callable:
        return function

    def shapes(self, of_program: Any) -> Any:
        return jax.tree.map(lambda s: jax.ShapeDtypeStruct((len(self.init_keys), *s.shape), s.dtype), of_program)

    def split(self, state: Any) -> list[Any]:
        return [jax.tree.map(lambda leaf, i=i: leaf[i], state) for i in range(len(self.init_keys))]

    def join(self, states: list[Any]) -> Any:
        def stack(*leaves):  # NumPy's is not compiled for every shape, but knows no random keys
            of_keys = jnp.issubdtype(leaves[0].dtype, jax.dtypes.prng_key)
            return jnp.stack(leaves) if of_keys else np.stack(leaves)

        return jax.tree.map(stack, *states)
