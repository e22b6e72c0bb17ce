"""Compiled programs are kept between processes, in the user's cache folder."""

import hashlib
import os
import platform
import sys
from pathlib import Path

import jax

from bench.provenance import cpu_instructions, cpu_model


def enable() -> None:
    """Let JAX keep what it compiles in `folder()`; a folder named in JAX_COMPILATION_CACHE_DIR goes before it."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", str(folder()))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # a sweep compiles many small programs


def folder_in_use() -> Path | None:
    """Where compiled programs are kept; None if that was switched off by an empty JAX_COMPILATION_CACHE_DIR."""
    chosen = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    return folder() if chosen is None else Path(chosen) if chosen else None


def folder() -> Path:
    """By the platform's convention; one for each kind of CPU, as programs for one may crash on another."""
    home = Path.home()
    if sys.platform == "darwin":
        caches = home / "Library" / "Caches"
    else:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    kind = f"{platform.machine()} {cpu_model()} {cpu_instructions()}"
    cpu = hashlib.sha256(kind.encode()).hexdigest()[:8]
    return caches / "myriad-bench" / f"jax-{cpu}"
