"""How hard XLA tries to make a program fast: compilation takes as long as many a run."""

import jax


def once() -> dict[str, str | bool]:
    """Compiler options for a program that runs once, or some hundred times, and briefly: LLVM optimises nothing, and
    XLA's older emitters write what it gets.

    On a CPU `init` then compiles in a fifth of the time. For training neither is a middle way: LLVM's level 1 takes a
    tenth less to compile and some hundredths more to run, the older emitters a third less to compile and, for all
    methods but evolution, 8 to 50 % more to run.
    """
    options = {"xla_backend_optimization_level": "0", "xla_cpu_use_fusion_emitters": False}
    return options if jax.default_backend() == "cpu" else {}
