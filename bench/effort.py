"""How hard XLA tries to make a program fast: compilation takes as long as many a run.

Measured on two CPUs, for every method: at LLVM's first level a program runs as fast as at its second, XLA's default, as
the products are Eigen's and the loops are vectorised before LLVM sees them, and it compiles in three quarters of the
time; at level 0 in a third to a half, and then runs at a third of the speed or less.
"""

import jax

Options = dict[str, str | bool]


def once() -> Options:
    """Options of `jax.jit` and `Lowered.compile` for a program that runs once, and briefly."""
    return _level(0)


def often() -> Options:
    """The same for one whose run time counts."""
    return _level(1)


def _level(level: int) -> Options:
    return {"xla_backend_optimization_level": str(level)} if jax.default_backend() == "cpu" else {}
