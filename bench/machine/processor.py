"""The processor, as the system describes it. No JAX."""

import platform
from pathlib import Path


def cpu_model() -> str:
    """The name of the processor, as the system gives it; on Linux with its family and model, as one name may stand for
    several generations."""
    info = _cpuinfo()
    name = info.get("model name") or platform.processor() or platform.machine()
    numbers = [f"{key.removeprefix('cpu ')} {info[key]}" for key in ("cpu family", "model") if key in info]
    return f"{name} ({', '.join(numbers)})" if numbers else name


def cpu_instructions() -> str:
    """The instructions that the processor offers here, on Linux; a program compiled for more of them would crash."""
    info = _cpuinfo()
    return info.get("flags") or info.get("Features") or ""


def _cpuinfo() -> dict[str, str]:
    """What Linux says of the first processor; nothing elsewhere."""
    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
