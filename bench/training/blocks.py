"""Blocks of seeds that one call of a program trains: all of them, or on a CPU one, whose bits depend on no other."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np


class SeedsTogether:
    """Seeds as one program's batch, with a single key and a single state for all of them."""

    def __init__(self, seeds: tuple[int, ...]):
        self.seeds = seeds
        self.init_key, self.step_key = jax.vmap(jr.split, out_axes=1)(jax.vmap(jr.key)(jnp.array(seeds)))

    def program(self, function: Callable, axes: tuple[int | None, ...]) -> Callable:
        """Turn a function of one seed into the function to compile; `axes` says where its arguments have the seeds."""
        return jax.vmap(function, axes)

    def shapes(self, per_call: Any) -> Any:
        """Return the shapes of a state with the seeds as first axis, given those of the program's state."""
        return per_call

    def with_axis(self, state: Any) -> Any:
        """Give a state of the program the seeds as first axis, which it has."""
        return state

    def without_axis(self, state: Any) -> Any:
        """Undo `with_axis`."""
        return state


class OneSeed:
    """A seed alone."""

    def __init__(self, seed: int):
        self.seeds = (seed,)
        self.init_key, self.step_key = jr.split(jr.key(seed))

    def program(self, function: Callable, axes: tuple[int | None, ...]) -> Callable:
        """Turn a function of one seed into the function to compile, which is the same."""
        return function

    def shapes(self, per_call: Any) -> Any:
        """Return the shapes of a state with the seeds as first axis, given those of the program's state."""
        return jax.tree.map(lambda s: jax.ShapeDtypeStruct((1, *s.shape), s.dtype), per_call)

    def with_axis(self, state: Any) -> Any:
        """Give a state of the program the seeds as first axis."""

        def add(leaf):  # NumPy stacks without compiling for every shape, but cannot stack random keys
            return jnp.stack([leaf]) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else np.stack([leaf])

        return jax.tree.map(add, state)

    def without_axis(self, state: Any) -> Any:
        """Undo `with_axis`."""
        return jax.tree.map(lambda leaf: leaf[0], state)


Block = SeedsTogether | OneSeed


def blocks(seeds: tuple[int, ...]) -> list[Block]:
    """Return the blocks of these seeds on this machine; all of them have the same programs."""
    return [OneSeed(seed) for seed in seeds] if jax.default_backend() == "cpu" else [SeedsTogether(seeds)]
