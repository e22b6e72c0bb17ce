"""Compiled programs are kept between processes, in the user's cache folder."""

import hashlib
import os
import platform
import sys
from pathlib import Path

import jax

from bench.machine.processor import cpu_instructions, cpu_model


def enable_cache() -> None:
    """Let JAX keep what it compiles in `folder()`; a folder named in JAX_COMPILATION_CACHE_DIR goes before it."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder()))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # a sweep compiles many small programs


def cache_folder_in_use() -> Path | None:
    """Where compiled programs are kept; None if that was switched off by an empty JAX_COMPILATION_CACHE_DIR."""
    chosen = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    return cache_folder() if chosen is None else Path(chosen) if chosen else None


def cache_folder() -> Path:
    """By the platform's convention; one for each kind of CPU, as programs for one may crash on another."""
    home = Path.home()
    if sys.platform == "darwin":
        caches = home / "Library" / "Caches"
    else:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    kind = f"{platform.machine()} {cpu_model()} {cpu_instructions()}"
    cpu = hashlib.sha256(kind.encode()).hexdigest()[:8]
    return caches / "myriad-bench" / f"jax-{cpu}"


def quick_options() -> dict[str, str | bool]:
    """Compiler options for a program that runs once, or some hundred times, and briefly: LLVM optimises nothing, and
    XLA's older emitters write what it gets.

    On a CPU `init` then compiles in a fifth of the time. For training neither is a middle way: LLVM's level 1 takes a
    tenth less to compile and some hundredths more to run, the older emitters a third less to compile and, for all
    methods but evolution, 8 to 50 % more to run.
    """
    options = {"xla_backend_optimization_level": "0", "xla_cpu_use_fusion_emitters": False}
    return options if jax.default_backend() == "cpu" else {}
