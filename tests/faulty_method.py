"""A method with faults on demand, a suite of it, and `bench` as a process.

The method compiles fast, and its state has every kind of leaf.
"""

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key

from bench.budget import Usage
from bench.method import AbstractMethod
from bench.simulate import AbstractPolicy

ROOT = Path(__file__).parent.parent


class RandomWalkState(eqx.Module):
    u: Float[Array, " m"]
    memory: Float[Array, " 8"]
    half: Float[Array, " 8"]
    key: Key[Array, ""]
    count: Int[Array, ""]


class Hold(AbstractPolicy):
    """A constant control."""

    u: Float[Array, " m"]

    def initial(self):
        return ()

    def __call__(self, t, x, carry):
        return self.u, carry


class RandomWalk(AbstractMethod[RandomWalkState]):
    """A random walk of a constant control. `work` makes a step slow, and `fault` strikes in every step."""

    work: int = 1
    fault: Literal["none", "raises", "nan", "shape", "endless", "sleeps", "memory", "crash", "exit"] = "none"
    after: int = 0  # steps before "endless" strikes

    def usage(self, task):
        return Usage(100, updates=5)

    def init(self, task, key):
        zeros = jnp.zeros(8)
        return RandomWalkState(
            jnp.zeros(len(task.controls)), zeros, zeros.astype(jnp.bfloat16), key, jnp.zeros((), jnp.int32)
        )

    def step(self, task, state, key):
        if self.fault == "raises":
            raise RuntimeError("no luck")
        if self.fault == "sleeps":
            time.sleep(1e6)
        if self.fault == "crash":
            os.kill(os.getpid(), 9)
        if self.fault == "exit":
            os._exit(0)
        if self.fault == "memory":  # 2⁴⁸ bytes, which is more than there are addresses
            numbers = jax.lax.broadcasted_iota(jnp.float32, (1 << 46,), 0) * state.memory[0]
            state = eqx.tree_at(lambda s: s.memory, state, state.memory + jnp.sort(jnp.sin(numbers))[state.count])
        strikes = (self.fault == "endless") & (state.count >= self.after)
        turns = jnp.where(strikes, jnp.iinfo(jnp.int32).max, self.work)
        walk_key, memory = jr.split(state.key)[0], state.memory + jr.normal(key, (8,))
        # The logistic map is chaotic: a difference of one bit anywhere changes the curve.
        chaos = jax.lax.fori_loop(0, turns, lambda _, z: 3.99 * z * (1 - z), jax.nn.sigmoid(memory))
        u = jnp.mean(chaos) + 0.1 * jr.uniform(walk_key, state.u.shape)
        if self.fault == "shape":
            u = jnp.stack([u, u])
        if self.fault == "nan":
            u = u * jnp.nan
        return RandomWalkState(u, memory, chaos.astype(jnp.bfloat16), walk_key, state.count + 1)

    def policy(self, task, state):
        return Hold(state.u)


Raises, Diverges, Misshapen, Endless, Sleeps, ExhaustsMemory, Crashes, Exits = (
    partial(RandomWalk, fault=fault)
    for fault in ("raises", "nan", "shape", "endless", "sleeps", "memory", "crash", "exit")
)

Other = partial(RandomWalk, after=1)

SUITE = """
description = "random walks"
tasks = ["harvest"]
methods = ["faulty_method:RandomWalk"]
seeds = 2

[budget]
env_steps = {env_steps}
evals = {evals}
"""


def suite_file(folder: Path, env_steps: int = 3000, evals: int = 5) -> Path:
    """The file of a suite with one task, whose reference is stored, and runs of `env_steps` / 100 steps."""
    path = folder / "walks.toml"
    path.write_text(SUITE.format(env_steps=env_steps, evals=evals))
    return path


def command(*arguments: object) -> list[str]:
    """The command line of `bench`."""
    return [sys.executable, "-m", "bench", *map(str, arguments)]


def environment() -> dict[str, str]:
    """The environment of a `bench` process, which finds the methods of these tests."""
    return {**os.environ, "COLUMNS": "200", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}


def bench(*arguments: object, **options) -> subprocess.CompletedProcess:
    """Run `bench` in a process to its end."""
    return subprocess.run(
        command(*arguments), cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, **options
    )


def start(*arguments: object, **options) -> subprocess.Popen:
    """Start `bench` in a process, in a process group of its own."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command(*arguments),
        cwd=ROOT,
        env=environment(),
        stdout=pipe,
        stderr=pipe,
        text=True,
        process_group=0,
        **options,
    )
