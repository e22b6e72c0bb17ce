"""A block of seeds, trained together as one program's batch or one after the other."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np


class SeedsTogether:
    """A block of seeds as one program's batch, with a single key and a single state for all of them."""

    def __init__(self, seeds: tuple[int, ...]):
        init_keys, step_keys = jax.vmap(jr.split, out_axes=1)(jax.vmap(jr.key)(jnp.array(seeds)))
        self.init_keys, self.step_keys = [init_keys], [step_keys]

    def program(self, function: Callable, axes: tuple[int | None, ...]) -> Callable:
        """Turn a function of one seed into the function to compile; `axes` says where its arguments have the seeds."""
        return jax.vmap(function, axes)

    def shapes(self, per_call: Any) -> Any:
        """Return the shapes of the joined state, given those of the state that one call of the program takes."""
        return per_call

    def split(self, state: Any) -> list[Any]:
        """Return the states that the program takes, one for each call."""
        return [state]

    def join(self, states: list[Any]) -> Any:
        """Return one state with the seeds as first axis."""
        return states[0]


class SeedsInTurn:
    """A block of seeds one after the other, with a key and a state for each."""

    def __init__(self, seeds: tuple[int, ...]):
        self.init_keys, self.step_keys = zip(*(jr.split(jr.key(seed)) for seed in seeds), strict=True)

    def program(self, function: Callable, axes: tuple[int | None, ...]) -> Callable:
        """Turn a function of one seed into the function to compile, which is the same."""
        return function

    def shapes(self, per_call: Any) -> Any:
        """Return the shapes of the joined state, given those of the state that one call of the program takes."""
        return jax.tree.map(lambda s: jax.ShapeDtypeStruct((len(self.init_keys), *s.shape), s.dtype), per_call)

    def split(self, state: Any) -> list[Any]:
        """Return the states that the program takes, one for each call."""
        return [jax.tree.map(lambda leaf, i=i: leaf[i], state) for i in range(len(self.init_keys))]

    def join(self, states: list[Any]) -> Any:
        """Return one state with the seeds as first axis."""

        def stack(*leaves):  # NumPy stacks without compiling for every shape, but cannot stack random keys
            are_keys = jnp.issubdtype(leaves[0].dtype, jax.dtypes.prng_key)
            return jnp.stack(leaves) if are_keys else np.stack(leaves)

        return jax.tree.map(stack, *states)
