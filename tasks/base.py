"""A task: an optimal-control problem in Bolza form, as mathematics only.

    min over u   J = ∫₀ᵀ g(t, x, u) dt + Φ(x(T))     s.t.   x' = f(t, x, u),   x(0) = x₀,   low <= u <= high

A task states f, g, Φ and the grid on which controls are held. `bench.simulate` integrates it. Physical constants are
float fields, so `TASKS[name](r=0.4, num_steps=200)` is another instance of the same problem.
"""

import abc
import dataclasses
import inspect
import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

MAX_STEPS = 10**6  # of a solver in one episode
SMALLEST, LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)  # the range of training
Scalar = Float[Array, ""] | float  # such as a time: traced inside a rollout, a plain number in a notebook


class StateVar(NamedTuple):
    """A state component: start value, the range used for scaling and plots (not a constraint), target (nan = free).

    An angle has a `period`, so that its distance to the target is the short way round. `sample_start` draws within
    `spread` of the start. The default spread is a tenth of the start's size, so a state that starts at exactly 0 (a
    used dose, a memory) always starts there.
    """

    name: str
    start: float
    low: float = -math.inf
    high: float = math.inf
    target: float = math.nan
    unit: str = "1"
    period: float | None = None
    spread: float | None = None

    @property
    def size(self) -> float:
        """Length of the range; where that is infinite, the size of the start, but at least 1."""
        span = self.high - self.low
        return span if math.isfinite(span) else max(abs(self.start), 1.0)


class AbstractHiddenState(eqx.Module):
    """The state of an episode of which policies see only a part, or a noisy copy."""

    @property
    @abc.abstractmethod
    def observed(self) -> Float[Array, " observed"]:
        """What a policy may see of it."""


class ControlVar(NamedTuple):
    """A control component and its bounds, which must be finite because policies are squashed into them."""

    name: str
    low: float
    high: float
    unit: str = "1"


def _is_number(value: Any) -> bool:
    """Whether a value is a number of Python or NumPy, or an array of one."""
    is_array = isinstance(value, np.ndarray | jax.Array) and value.ndim == 0 and value.dtype.kind in "iuf"
    return is_array or (isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool))


def wrap(angle: Float[Array, "*shape"] | float, period: float = 2 * math.pi) -> Float[Array, "*shape"]:
    """Move an angle by whole periods into [-period / 2, period / 2)."""
    return jnp.mod(angle + period / 2, period) - period / 2


if TYPE_CHECKING:
    State = Any  # which of the two a state is depends on its task
else:
    State = Float[Array, " n"] | AbstractHiddenState  # of an episode, without and with noise

# The fields that every task declares, each with an example.
GRID_FIELDS = {"horizon": "float = 2.0", "num_steps": "int = 20", "solver": 'str = "tsit5"', "substeps": "int = 1"}


class AbstractTask(eqx.Module):
    """An optimal-control problem. Final classes are tasks. Their fields are constants, the grid, and the integrator."""

    states: eqx.AbstractClassVar[tuple[StateVar, ...]]
    controls: eqx.AbstractClassVar[tuple[ControlVar, ...]]
    horizon: eqx.AbstractVar[float]  # T, in the problem's own unit of time
    num_steps: eqx.AbstractVar[int]  # H: each control is held for horizon / num_steps
    solver: eqx.AbstractVar[str]  # a name in bench.solvers.SOLVERS
    substeps: eqx.AbstractVar[int]  # solver steps per held control on the default grid
    starts: Literal["fixed", "random"] = eqx.field(default="fixed", kw_only=True)  # an episode starts at x0, or near it
    # Score 0 is the cost of the best constant control. Where only the first control matters, it is the mean cost of
    # 1000 random sequences.
    floor: ClassVar[Literal["constant", "random"]] = "constant"
    time_unit: ClassVar[str] = "1"  # the horizon's unit; "1" where time is scaled

    @abc.abstractmethod
    def vector_field(self, t: Scalar, x: Float[Array, " n"], u: Float[Array, " m"]) -> Float[Array, " n"]:
        """Return f(t, x, u), in units of the states per unit of time."""

    @abc.abstractmethod
    def running_cost(self, t: Scalar, x: Float[Array, " n"], u: Float[Array, " m"]) -> Float[Array, ""]:
        """Return g(t, x, u), the cost per unit of time."""

    @abc.abstractmethod
    def terminal_cost(self, x: Float[Array, " n"]) -> Float[Array, ""]:
        """Return Φ(x(T)), zero for a problem without terminal cost."""

    def __check_init__(self):
        if isinstance(self, AbstractNoisyTask):
            return  # its plant is checked
        name = type(self).__name__
        default: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(self)}
        for field in GRID_FIELDS:
            if default.get(field, dataclasses.MISSING) is dataclasses.MISSING:
                raise ValueError(
                    f"{name}: {field} must be a field with a default, got none: write `{field}: {GRID_FIELDS[field]}` "
                    "in the class, neither a property nor an __init__ of your own."
                )
        left_out = [field for field in default if field not in inspect.signature(type(self)).parameters]
        if left_out:
            raise ValueError(
                f"{name}: its own __init__ does not take {', '.join(left_out)}. Remove it, and write every setting as "
                "a field with a default, such as `horizon: float = 2.0`."
            )
        for what in ("states", "controls"):
            if not getattr(self, what):
                raise ValueError(f"{name}: {what} must hold one variable at least, got {getattr(self, what)!r}.")
        for variable in (*self.states, *self.controls):
            if not isinstance(variable, StateVar | ControlVar):
                raise ValueError(
                    f"{name}: write each state as StateVar and each control as ControlVar, got {variable!r}."
                )
            for key, value in zip(variable._fields, variable, strict=True):
                if key not in ("name", "unit") and value is not None and not _is_number(value):
                    raise ValueError(f"{name}: {key} of '{variable.name}' must be a number, got {value!r}.")
        for control in self.controls:
            if not (math.isfinite(control.low) and math.isfinite(control.high) and control.low < control.high):
                raise ValueError(
                    f"{name}: control '{control.name}' needs finite bounds low < high, got [{control.low}, "
                    f"{control.high}]. Policies are squashed into the bounds: give the largest useful control."
                )
        for state in self.states:
            if not math.isfinite(state.start):
                raise ValueError(f"{name}: state '{state.name}' needs a finite start, got {state.start}.")
            if not math.isnan(state.target) and not math.isfinite(state.high - state.low):
                raise ValueError(
                    f"{name}: state '{state.name}' has a target, so it needs a finite range, got [{state.low}, "
                    f"{state.high}]. The miss is measured in units of the range."
                )
        if self.starts not in ("fixed", "random"):
            raise ValueError(f"{name}: starts must be 'fixed' or 'random', got {self.starts!r}.")
        if not (_is_number(self.horizon) and math.isfinite(self.horizon) and self.horizon > 0):
            raise ValueError(f"{name}: horizon must be a positive number, got {self.horizon!r}.")
        for field in ("num_steps", "substeps"):
            count = getattr(self, field)
            if not (_is_number(count) and math.isfinite(count) and count == int(count)):
                raise ValueError(f"{name}: {field} must be a whole number, got {count!r}.")
            if not 1 <= count <= MAX_STEPS:
                raise ValueError(f"{name}: {field} must be at least 1 and at most {MAX_STEPS}, got {count:g}.")
        step = float(self.horizon) / self.num_steps / self.substeps
        if self.horizon > LARGEST or step < SMALLEST:
            raise ValueError(
                f"{name}: training is in float32, which holds times from {SMALLEST:.2g} to {LARGEST:.2g}, but a "
                f"horizon of {self.horizon:g} has steps of {step:g}. Take another unit of time."
            )
        if self.num_steps * self.solver_steps > MAX_STEPS:
            raise ValueError(
                f"{name}: a horizon of {self.horizon:g} in {self.num_steps} intervals of at least {self.substeps} "
                f"solver steps takes more than {MAX_STEPS} of them. Take another horizon."
            )

    @property
    def dt(self) -> float:
        """Length of one control interval, horizon / num_steps."""
        return self.horizon / self.num_steps

    @property
    def solver_steps(self) -> int:
        """Solver steps per control interval: `substeps` on the default grid, in proportion more on longer intervals.

        So no choice of grid makes the integration coarser than the tested one.
        """
        default: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(self)}
        longer = self.dt / max(default["horizon"] / default["num_steps"], SMALLEST)
        return max(int(self.substeps), math.ceil(self.substeps * longer - 1e-9))

    @property
    def x0(self) -> Float[Array, " n"]:
        """The start state, in physical units."""
        return jnp.array([float(s.start) for s in self.states])

    def start(self, key: Key[Array, ""]) -> State:
        """Return the start of a training episode: x0 or, with random starts or noise, a draw."""
        if isinstance(self, AbstractNoisyTask):
            return self.begin(key)
        return self.sample_start(key) if self.starts == "random" else self.x0

    @property
    def bounds(self) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
        """Lower and upper bounds of the controls, in physical units."""
        return np.array([c.low for c in self.controls], float), np.array([c.high for c in self.controls], float)

    def misses(self, x: Float[Array, " n"]) -> Float[Array, " targets"]:
        """Return signed distances of x from the targets, in units of each state's range; empty without targets."""
        pairs = [(x[i], s) for i, s in enumerate(self.states) if not math.isnan(s.target)]
        gaps = [wrap(value - s.target, s.period) if s.period else value - s.target for value, s in pairs]
        ranges = [s.high - s.low for _, s in pairs]
        return jnp.stack(gaps) / jnp.asarray(ranges, x.dtype) if pairs else jnp.zeros(0, x.dtype)

    def sample_start(self, key: Key[Array, ""]) -> Float[Array, " n"]:
        """Draw a start near x0: each state is uniform within its `spread` of the fixed start, and in its range."""
        spreads = [0.1 * abs(s.start) if s.spread is None else s.spread for s in self.states]
        low = [float(max(s.start - spread, s.low)) for s, spread in zip(self.states, spreads, strict=True)]
        high = [float(min(s.start + spread, s.high)) for s, spread in zip(self.states, spreads, strict=True)]
        return jax.random.uniform(key, (len(low),), minval=jnp.array(low), maxval=jnp.array(high))


class AbstractNoisyTask(AbstractTask):
    """A task under noise, whose states are those that are observed (`bench.noisy_task`)."""

    @abc.abstractmethod
    def begin(self, key: Key[Array, ""]) -> AbstractHiddenState:
        """Draw the start of an episode, with its noise."""


class AbstractHybridTask(AbstractTask):
    """A task whose state also jumps: x ← jump(t, x, u) at the end of every control interval, at time t."""

    @abc.abstractmethod
    def jump(self, t: Scalar, x: Float[Array, " n"], u: Float[Array, " m"]) -> Float[Array, " n"]:
        """Return the state after the jump at time t, the end of the interval on which u was held."""


class AbstractSolvedTask(AbstractTask):
    """A task for which a formula gives the minimum over control sequences, with some of its settings at least."""

    @abc.abstractmethod
    def optimum(self) -> float | None:
        """Return the minimum with these constants on this grid, or None where the formula does not hold."""
