"""How hard XLA tries to make a program fast: compilation takes as long as many a run."""

import jax


def once() -> dict[str, str | bool]:
    """Options of `Lowered.compile` for a program that runs once, and briefly: LLVM optimises nothing.

    On a CPU it then compiles in a third of the time and runs at a third of the speed. Level 1 is no middle way for
    training: a tenth less to compile, some hundredths more to run.
    """
    return {"xla_backend_optimization_level": "0"} if jax.default_backend() == "cpu" else {}
