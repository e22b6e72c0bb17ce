"""What all figures have in common: their style, and matplotlib imported when one is drawn. No JAX here."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from bench.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
}


def new_figure(size: tuple[float, float], **options: Any) -> "Figure":
    """A figure that belongs to no window, so that none has to be closed."""
    from matplotlib.figure import Figure

    return Figure(size, **options)


def figure_style(**more: Any) -> AbstractContextManager[None]:
    """The style, for a `with` block; raises UsageError without matplotlib."""
    try:
        from matplotlib import rc_context
    except ImportError as error:
        raise UsageError("figures need matplotlib: pip install 'myriad-bench[plot]'.") from error
    settings: dict[Any, Any] = {**STYLE, **more}
    return rc_context(settings)
