"""Compilation: a cache on disk that processes share, and options for programs that run briefly."""

import hashlib
import os
import platform
import sys
from pathlib import Path

import jax

from bench.machine.processor import cpu_instructions, cpu_model


def enable_cache() -> str:
    """Let JAX keep compiled programs in `cache_folder()`, or in the folder that JAX_COMPILATION_CACHE_DIR names.

    Return why none are kept, "" if they are: there may be no home, or one that cannot be written.
    """
    problem = ""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        folder, problem = _writable_cache()
        jax.config.update("jax_compilation_cache_dir", str(folder) if folder else None)
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # a sweep compiles many small programs
    return problem


def _writable_cache() -> tuple[Path | None, str]:
    """Return the cache folder, or None and why it cannot be written."""
    hint = "JAX_COMPILATION_CACHE_DIR may name a folder for them."
    try:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: this user has no home
        return None, f"compiled programs are not kept ({error}). {hint}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return None, f"compiled programs are not kept: {folder} cannot be written. {hint}"
    return folder, ""


def cache_folder_in_use() -> Path | None:
    """Return where compiled programs are kept; None where they are not.

    An empty JAX_COMPILATION_CACHE_DIR switches the cache off.
    """
    chosen = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    return _writable_cache()[0] if chosen is None else Path(chosen) if chosen else None


def cache_folder() -> Path:
    """Return the cache folder by the platform's convention.

    Each kind of CPU has its own, because a program compiled for one may crash on another. Raises RuntimeError where
    the user has no home.
    """
    if sys.platform == "darwin":
        caches = Path.home() / "Library" / "Caches"
    else:
        chosen = os.environ.get("XDG_CACHE_HOME")
        caches = Path(chosen) if chosen else Path.home() / ".cache"
    kind = f"{platform.machine()} {cpu_model()} {cpu_instructions()}"
    cpu = hashlib.sha256(kind.encode()).hexdigest()[:8]
    return caches / "myriad-bench" / f"jax-{cpu}"


def quick_options() -> dict[str, str | bool]:
    """Return compiler options for a program that runs briefly, once or some hundred times.

    On a CPU, LLVM does not optimise, and XLA's older emitters write its input: `init` compiles in a fifth of the time.
    Neither pays for training. LLVM's level 1 takes a tenth less to compile and some hundredths more to run. The older
    emitters take a third less to compile and, for all methods but evolution, 8 to 50 % more to run.
    """
    options: dict[str, str | bool] = {
        "xla_backend_optimization_level": "0",
        "xla_cpu_use_fusion_emitters": False,
        "xla_cpu_parallel_codegen_split_count": "1",
    }
    return options if jax.default_backend() == "cpu" else {}
