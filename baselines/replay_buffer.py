"""A buffer of whole episodes with a fixed capacity, as a pytree. When it is full, the oldest episode is overwritten."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key

from bench.simulate import Trajectory
from tasks.base import AbstractTask


def integers_below(bound: Int[Array, ""], count: int, key: Key[Array, ""]) -> Int[Array, " count"]:
    """Draw `count` whole numbers uniformly from 0 ... bound - 1, for a bound of at least 1.

    `jr.randint` splits its key and draws twice, which makes three loops to compile where one will do. It does so only
    against a bias of bound / 2³².
    """
    return (jr.bits(key, (count,), jnp.uint32) % bound.astype(jnp.uint32)).astype(jnp.int32)


class Replay(eqx.Module):
    """Episodes; the one that was added as number i is in row i modulo the capacity."""

    xs: Float[Array, "capacity knots n"]
    us: Float[Array, "capacity steps m"]
    costs: Float[Array, "capacity steps"]  # running costs; the last interval's includes the terminal cost
    added: Int[Array, ""]  # number of episodes added so far

    @classmethod
    def empty(cls, task: AbstractTask, capacity: int) -> "Replay":
        """Return a buffer without episodes; its rows are zeros."""
        steps, n, m = task.num_steps, len(task.states), len(task.controls)
        return cls(
            jnp.zeros((capacity, steps + 1, n)),
            jnp.zeros((capacity, steps, m)),
            jnp.zeros((capacity, steps)),
            jnp.zeros((), jnp.int32),
        )

    def add(self, batch: Trajectory) -> "Replay":
        """Return the buffer with more episodes: a Trajectory with the episodes as a leading axis."""
        rows = (self.added + jnp.arange(len(batch.xs))) % len(self.xs)
        costs = batch.costs.at[:, -1].add(batch.cost - jnp.sum(batch.costs, axis=1))
        return Replay(
            self.xs.at[rows].set(batch.xs),
            self.us.at[rows].set(batch.us),
            self.costs.at[rows].set(costs),
            self.added + len(rows),
        )

    @property
    def filled(self) -> Float[Array, " capacity"]:
        """1 for the rows in use, 0 for the others."""
        return (jnp.arange(len(self.xs)) < self.added).astype(self.xs.dtype)

    def sample(self, key: Key[Array, ""], count: int, newest: Int[Array, ""] | int) -> Int[Array, " count"]:
        """Draw rows of `count` episodes with replacement from the `newest` last ones."""
        available = jnp.minimum(jnp.minimum(self.added, len(self.xs)), newest)
        age = 1 + integers_below(available, count, key)
        return (self.added - age) % len(self.xs)

    def newest_rows(self, count: int) -> Int[Array, " count"]:
        """Return the rows of the last `count` episodes, newest first."""
        return (self.added - 1 - jnp.arange(count)) % len(self.xs)

    def newest(self, count: int) -> tuple[Float[Array, "count knots n"], Float[Array, "count steps m"]]:
        """Return states and controls of the last `count` episodes, newest first; zeros where there were fewer."""
        rows = self.newest_rows(count)
        return self.xs[rows], self.us[rows]

    def cheapest(self) -> tuple[Float[Array, "knots n"], Float[Array, "steps m"]]:
        """Return states and controls of the episode with the lowest cost."""
        cost = jnp.sum(self.costs, axis=1)
        row = jnp.argmin(jnp.where((self.filled > 0) & jnp.isfinite(cost), cost, jnp.inf))
        return self.xs[row], self.us[row]

    def write(
        self,
        k: Int[Array, ""],
        x: Float[Array, " n"],
        u: Float[Array, " m"],
        cost: Float[Array, ""],
        x_next: Float[Array, " n"],
    ) -> "Replay":
        """Return the buffer with interval k of the episode under way, for methods that learn within an episode.

        The episode counts as added when its last interval is written.
        """
        row, steps = self.added % len(self.xs), self.us.shape[1]
        return Replay(
            self.xs.at[row, k].set(x).at[row, k + 1].set(x_next),
            self.us.at[row, k].set(u),
            self.costs.at[row, k].set(cost),
            self.added + (k == steps - 1),
        )

    def write_each(self, *intervals: Array) -> "Replay":
        """Return the buffer with consecutive intervals: k, x, u, cost and x_next of each, which `write` takes."""
        return jax.lax.scan(lambda replay, interval: (replay.write(*interval), None), self, intervals)[0]

    def sample_intervals(
        self, key: Key[Array, ""], count: int, k: Int[Array, ""]
    ) -> tuple[Int[Array, " count"], Int[Array, " count"]]:
        """Draw (rows, intervals) uniformly from all stored intervals and the first k of the episode under way.

        A full buffer leaves out the row that the episode under way overwrites.
        """
        capacity, steps = self.us.shape[:2]
        whole = jnp.minimum(self.added, capacity - 1)
        index = integers_below(whole * steps + k, count, key)
        # Counted backwards from the episode under way, to which the first k intervals belong.
        back = jnp.where(index < k, 0, 1 + (index - k) // steps)
        interval = jnp.where(index < k, index, (index - k) % steps)
        return (self.added - back) % capacity, interval
