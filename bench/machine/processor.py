"""The system's description of the processor. No JAX."""

import platform
from pathlib import Path


def cpu_model() -> str:
    """Return the system's name for the processor; on Linux with its family and model, because one name may stand for
    several generations."""
    info = _cpuinfo()
    name = info.get("model name") or platform.processor() or platform.machine()
    numbers = [f"{key.removeprefix('cpu ')} {info[key]}" for key in ("cpu family", "model") if key in info]
    return f"{name} ({', '.join(numbers)})" if numbers else name


def cpu_instructions() -> str:
    """Return the instructions that the processor offers, on Linux. A program that uses others would crash."""
    info = _cpuinfo()
    return info.get("flags") or info.get("Features") or ""


def _cpuinfo() -> dict[str, str]:
    """Return Linux's entry for the first processor; nothing elsewhere."""
    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
