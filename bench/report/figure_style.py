"""The style of all figures. matplotlib is imported only when one is drawn. No JAX here."""

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
    """Make a figure that belongs to no window and needs no closing."""
    from matplotlib.figure import Figure

    return Figure(size, **options)


def figure_style(**more: Any) -> AbstractContextManager[None]:
    """The style with `more` settings, for a `with` block. Raises UsageError without matplotlib."""
    try:
        from matplotlib import rc_context
    except ImportError as error:
        raise UsageError("figures need matplotlib: pip install 'myriad-bench[plot]'.") from error
    settings: dict[Any, Any] = {**STYLE, **more}
    return rc_context(settings)
