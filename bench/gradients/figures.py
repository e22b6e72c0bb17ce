"""Figures of gradients and landscapes. No JAX here."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.analysis.stats import Floats
from bench.gradients.records import BEST_BASIN_SHARE, SIMULATOR, Landscape, Measurement, Surface
from bench.report import figure_style
from bench.report.palette import colour, places

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIMULATOR_COLOUR = "black"


def gradients(measured: Sequence[Measurement]) -> "Figure":
    """Draw a row for each task and policy: norm, cosine, gradient of the last cost by distance, and signal to noise.

    Norms are geometric means over seeds, the rest are means. A second axis above the norm shows the Lyapunov exponent
    times the horizon.
    """
    models = list(dict.fromkeys(m.model for m in measured))
    groups = list(dict.fromkeys((m.task, m.policy) for m in measured))
    with figure_style.figure_style():
        figure = figure_style.new_figure((11.0, 2.5 * len(groups) + 0.5), dpi=150, layout="constrained")
        axes = figure.subplots(len(groups), 4, squeeze=False)
        for row, (task, policy) in zip(axes, groups, strict=True):
            group = [m for m in measured if (m.task, m.policy) == (task, policy)]
            most_updates = max(m.updates for m in group)
            for model in models:
                runs = [m for m in group if m.model == model and m.updates in (0, most_updates)]
                if runs:
                    _draw_model(row, runs, _colour(models, model))
            _label_row(row, f"{task}, {policy} policy", group[0])
        _add_legend(figure, models)
        return figure


def _draw_model(row: Any, runs: Sequence[Measurement], colour: str) -> None:
    horizons = runs[0].horizons
    row[0].plot(horizons, np.exp(_mean([_logs(m.numbers["norm"]) for m in runs])), "o-", ms=3, color=colour)
    row[1].plot(horizons, _mean([_floats(m.numbers["cosine"]) for m in runs]), "o-", ms=3, color=colour)
    by_distance = np.exp(_mean([_logs(m.numbers["by_distance"]) for m in runs]))
    row[2].plot(np.arange(len(by_distance)) + 1, by_distance, color=colour, lw=1.0)
    noise = np.exp(_mean([_logs(m.numbers["snr_starts"]) for m in runs]))
    row[3].plot(horizons, noise, "o-", ms=3, color=colour)


def _label_row(row: Any, title: str, example: Measurement) -> None:
    names = (
        "norm of the policy gradient",
        "cosine to the true gradient",
        "gradient of the last cost",
        "signal / noise",
    )
    for axis, name in zip(row, names, strict=True):
        axis.set_ylabel(name)
        axis.set_xlabel("horizon (steps)")
        axis.set_yscale("log")
    row[1].set_yscale("linear")
    row[1].set_ylim(-1.05, 1.05)
    row[1].axhline(0.5, color="0.7", lw=0.8, ls=":")
    row[2].set_xlabel("steps before the end")
    row[0].set_title(title, loc="left", parse_math=False)
    per_step = example.lyapunov / example.num_steps
    if per_step:
        above = row[0].secondary_xaxis("top", functions=(lambda h: h * per_step, lambda e: e / per_step))
        above.tick_params(labelsize=7)
        row[0].set_title(f"{title}\nabove: Lyapunov exponent × horizon", loc="left", parse_math=False)


def landscape(found: Landscape) -> "Figure":
    """Draw the return, its gradient and the ends of ascent under the simulator and each model, as lines or as maps."""
    return _maps(found) if len(found.alphas[0]) == 2 else _lines(found)


def _lines(found: Landscape) -> "Figure":
    surfaces = [Surface(**each) for each in found.surfaces]
    alphas = np.array(found.alphas)[:, 0]
    truth = _floats(surfaces[0].returns)
    with figure_style.figure_style():
        figure = figure_style.new_figure((max(2.6 * len(surfaces), 6.5), 3.9), dpi=150, layout="constrained")
        axes = figure.subplots(2, len(surfaces), squeeze=False, sharex=True, height_ratios=[3, 2])
        slopes = np.concatenate([_floats([g[0] for g in s.gradients]) for s in surfaces])
        for i, (surface, (top, bottom)) in enumerate(zip(surfaces, axes.T, strict=True)):
            own = _colour([each.model for each in surfaces], surface.model)
            if i:
                top.plot(alphas, truth, color="0.75", lw=1.0, label="true return")
            _draw_returns(top, surface, alphas, _range(truth, 0.08), own)
            bottom.axhline(0, color="0.75", lw=0.8)
            bottom.plot(alphas, _floats([g[0] for g in surface.gradients]), color=own, lw=0.9)
            _scale_gradient(bottom, slopes)
            bottom.set_xlabel("first control (of its range)" if found.direction == "first" else "α")
        for row in axes:
            for axis in row[1:]:
                axis.tick_params(labelleft=False)
        axes[0, 0].set_ylabel("return")
        axes[1, 0].set_ylabel("gradient")
        handles, names = axes[0, -1].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(names))
        figure.suptitle(_title(found), x=0.01, ha="left", fontsize=9, parse_math=False)
        return figure


def _draw_returns(axis: "Axes", surface: Surface, alphas: Floats, limits: tuple[float, float], colour: str) -> None:
    """The return along a line within `limits`, and the ends of ascent at their true return."""
    low, high = limits
    returns = _floats(surface.returns)
    axis.plot(alphas, returns, color=colour, label="return under the model")
    if np.all(returns > high) or np.all(returns < low):
        where = "above" if returns[0] > high else "below"
        axis.text(0.5, 0.95, f"the model's return is {where}", ha="center", va="top", transform=axis.transAxes)
    ends, end_returns = np.array(surface.ends)[:, 0], np.clip(_floats(surface.end_returns), low, high)
    axis.plot(ends, end_returns, "^", ms=4, mfc="none", color=colour, clip_on=False, label="where an ascent ends")
    axis.set_ylim(low, high)
    axis.set_title(_surface_title(surface), loc="left", parse_math=False)


def _maps(found: Landscape) -> "Figure":
    surfaces = [Surface(**each) for each in found.surfaces]
    side = math.isqrt(len(found.alphas))
    low, high = _range(_floats(surfaces[0].returns), 0.0)
    with figure_style.figure_style():
        figure = figure_style.new_figure((max(2.6 * len(surfaces) + 0.6, 6.5), 3.4), dpi=150, layout="constrained")
        axes = figure.subplots(1, len(surfaces), squeeze=False, sharey=True)[0]
        for axis, surface in zip(axes, surfaces, strict=True):
            values = np.clip(_floats(surface.returns).reshape(side, side), low, high)
            axis.imshow(values.T, origin="lower", extent=(-1, 1, -1, 1), vmin=low, vmax=high, cmap="viridis")
            slopes = np.array([_floats(g) for g in surface.gradients])
            _draw_arrows(axis, slopes.reshape(side, side, 2))
            ends = np.array(surface.ends)
            axis.plot(ends[:, 0], ends[:, 1], "^", ms=4, mfc="none", color="white", mew=0.8)
            axis.set_title(_surface_title(surface), loc="left", parse_math=False)
            axis.set_xlabel("α₁")
        axes[0].set_ylabel("α₂")
        figure.colorbar(axes[0].images[0], ax=list(axes), label="return", shrink=0.8)
        figure.suptitle(_title(found), x=0.01, ha="left", fontsize=9, parse_math=False)
        return figure


def _draw_arrows(axis: "Axes", slopes: Floats) -> None:
    """Directions of ascent at every few points."""
    side = len(slopes)
    some = np.arange(side)[side // 16 :: max(side // 8, 1)]
    ticks = np.linspace(-1, 1, side)[some]
    chosen = slopes[np.ix_(some, some)]
    units = chosen / np.maximum(np.linalg.norm(chosen, axis=-1, keepdims=True), 1e-30)
    x, y = np.meshgrid(ticks, ticks, indexing="ij")
    axis.quiver(x, y, units[..., 0], units[..., 1], color="white", alpha=0.6, scale=20, width=0.004)


def _title(found: Landscape) -> str:
    exponent = f", Lyapunov exponent × horizon {found.lyapunov:.1f}" if found.lyapunov else ""
    best = f"best: within {BEST_BASIN_SHARE:.0%} of the gap to the median"
    triangles = f"triangles: where ascents end, at the true return; {best}"
    return f"{found.task} along {_direction_name(found)}{exponent}\n{triangles}"


def _direction_name(found: Landscape) -> str:
    if found.direction == "first":
        return "the first control"
    name = {"gradient": "the gradient", "random": "a random direction"}[found.direction]
    return f"{name} of {found.space}"


def _surface_title(surface: Surface) -> str:
    return f"{surface.model}\n{surface.reached:.0%} reach the best basin"


def _range(values: Floats, margin: float) -> tuple[float, float]:
    """The least and the largest value, each moved outwards by `margin` of their gap."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    gap = (high - low) or 1.0
    return low - margin * gap, high + margin * gap


def _scale_gradient(axis: "Axes", slopes: Floats) -> None:
    """Scale an axis logarithmically for both signs, linearly around 0, over at most four decades, with five ticks."""
    sizes = np.abs(slopes[np.isfinite(slopes) & (slopes != 0)])
    top = math.ceil(math.log10(sizes.max())) if len(sizes) else 0
    bottom = max(top - 4, math.floor(math.log10(np.quantile(sizes, 0.1)))) if len(sizes) else -1
    axis.set_yscale("symlog", linthresh=10.0**bottom, linscale=2)
    axis.set_ylim(-(10.0**top) * 1.5, 10.0**top * 1.5)
    sides = [10.0**bottom, 10.0**top]
    names = [f"$10^{{{bottom}}}$", f"$10^{{{top}}}$"]
    ticks = [-sides[1], -sides[0], 0.0, *sides]
    axis.set_yticks(ticks, [f"$-${names[1]}", f"$-${names[0]}", "0", *names])
    axis.minorticks_off()


def _add_legend(figure: "Figure", models: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=_colour(models, model)) for model in models]
    figure.legend(handles, models, loc="outside lower center", ncols=min(len(models), 6))


def _colour(models: Sequence[str], model: str) -> str:
    """The colour that a model has in every figure."""
    return SIMULATOR_COLOUR if model == SIMULATOR else colour(places(m for m in models if m != SIMULATOR)[model])


def _floats(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if v is None else v for v in values], float)


def _logs(values: Sequence[float | None]) -> Floats:
    numbers = _floats(values)
    return np.log(np.where(numbers > 0, numbers, np.nan))


def _mean(values: Sequence[Floats]) -> Floats:
    """The mean over seeds of the values that are finite; nan where none is."""
    stacked = np.stack(values)
    finite = np.isfinite(stacked)
    total, count = np.where(finite, stacked, 0.0).sum(axis=0), finite.sum(axis=0)
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
