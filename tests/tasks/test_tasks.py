"""Every task against other sources: the Myriad package, closed forms, conservation laws, adaptive solutions.

Tests walk TASKS. They use float64, so that a tolerance is about the mathematics, and float32 where the precision of
training matters.
"""

import functools
import inspect
import itertools
import json
import math
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg

from bench.simulate import AbstractPolicy, end_error, open_loop, rollout, transition
from tasks import TASKS, AbstractHybridTask, AbstractTask, ControlVar, StateVar
from tasks.base import wrap

DATA = Path(__file__).parents[1] / "data"
POINTS = json.loads((DATA / "myriad_points.json").read_text())
ROLLOUTS = json.loads((DATA / "myriad_rollouts.json").read_text())

every_task = pytest.mark.parametrize("name", TASKS)


def random_controls(task, key, count):
    """Draw controls uniformly in the bounds, "count steps m"."""
    low, high = task.bounds
    return low + (high - low) * jax.random.uniform(key, (count, task.num_steps, len(low)))


def held(task, u):
    """Return the control sequence that holds u."""
    return jnp.broadcast_to(jnp.asarray(u), (task.num_steps, len(task.controls)))


@functools.cache
def differentiated(name):
    """Return J(us, x0) of a task's default instance with its gradient in us, compiled once for all tests."""
    task = TASKS[name]()
    return jax.jit(jax.value_and_grad(lambda us, x0: open_loop(task, us, x0).cost))


def adaptive_cost(task, us):
    """Return J by an adaptive method of order 8, interval by interval: the truth that fixed steps are tested against.

    The method is SciPy's, so it shares no line with the simulator.
    """

    @jax.jit
    def slope(t, y, u):
        x = y[:-1]
        return jnp.append(task.vector_field(t, x, u), task.running_cost(t, x, u))

    y = np.append(task.x0, 0.0)
    for k, u in enumerate(np.asarray(us)):
        span = (k * task.dt, (k + 1) * task.dt)
        # An error of 1e-10 per interval grows at most a few thousand times to the end of a chaotic task.
        y = scipy.integrate.solve_ivp(slope, span, y, "DOP853", args=(u,), rtol=1e-10, atol=1e-12).y[:, -1]
        if isinstance(task, AbstractHybridTask):
            y[:-1] = task.jump(span[1], jnp.asarray(y[:-1]), u)
    return y[-1] + task.terminal_cost(jnp.asarray(y[:-1]))


# --- the Myriad package, at points and along rollouts


class Counterpart(NamedTuple):
    """The parts of a Myriad system that our task repeats exactly. Each exclusion has a test of its own below."""

    task: str
    system: str
    components: tuple[int, ...] | None = None  # components of the vector field; None = all
    running: bool = True
    terminal: bool = True  # False: we add a price of the targets


PARITY = [
    Counterpart("cancer_treatment", "CancerTreatment"),
    Counterpart("mould_fungicide", "MouldFungicide"),
    Counterpart("harvest", "Harvest"),
    Counterpart("bacteria", "Bacteria"),
    Counterpart("bioreactor", "Bioreactor"),
    Counterpart("timber_harvest", "TimberHarvest"),
    Counterpart("hiv_treatment", "HIVTreatment"),
    Counterpart("bear_populations", "BearPopulations"),
    Counterpart("simple_case", "SimpleCase"),
    Counterpart("simple_case", "SimpleCaseWithBounds"),
    Counterpart("glucose", "Glucose"),
    Counterpart("predator_prey", "PredatorPrey", terminal=False),
    Counterpart("epidemic_seirn", "EpidemicSEIRN"),
    Counterpart("epidemic_seirn", "SEIR"),
    Counterpart("tumour", "Tumour"),
    Counterpart("invasive_plant", "InvasivePlant", components=(), terminal=False),
    Counterpart("van_der_pol", "VanDerPol", terminal=False),
    Counterpart("mountain_car", "MountainCar", components=(0,), terminal=False),
    Counterpart("pendulum", "Pendulum", components=(0,), running=False, terminal=False),
    Counterpart("cartpole", "CartPole", components=(0, 1, 2), terminal=False),
    Counterpart("rocket_landing", "RocketLanding", terminal=False),
]


def points(system):
    """Return (t, x, u) and Myriad's dynamics, running cost and terminal cost, each at 24 points."""
    data = POINTS[system]
    arrays = [np.array(data[key], float) for key in ("t", "x", "u", "dynamics", "cost", "terminal_cost")]
    return tuple(arrays[:3]), *(np.reshape(a, (24, -1)) for a in arrays[3:])


def test_parity_covers_the_package():
    assert {c.system for c in PARITY} == set(POINTS)


@pytest.mark.parametrize("counterpart", PARITY, ids=lambda c: c.system)
def test_agrees_with_myriad_at_points(x64, counterpart):
    # The formulas are the same. Only rounding differs; cancellation in sums of terms of both signs amplifies it.
    close = {"rtol": 1e-9, "atol": 1e-12}
    task = TASKS[counterpart.task]()
    data = POINTS[counterpart.system]
    np.testing.assert_allclose(task.horizon, data["T"])
    np.testing.assert_allclose(task.x0, data["x_0"], rtol=1e-12)
    at, dynamics, running, terminal = points(counterpart.system)
    components = range(len(task.states)) if counterpart.components is None else counterpart.components
    field = jax.vmap(task.vector_field)(*at)
    for i in components:
        np.testing.assert_allclose(field[:, i], dynamics[:, i], **close)
    if counterpart.running:
        np.testing.assert_allclose(jax.vmap(task.running_cost)(*at), running[:, 0], **close)
    if counterpart.terminal:
        np.testing.assert_allclose(jax.vmap(task.terminal_cost)(at[1]), terminal[:, 0], **close)


@pytest.mark.parametrize(
    "counterpart",
    [c for c in PARITY if c.components is None and c.system in ROLLOUTS and c.task != "bacteria"],  # which blows up
    ids=lambda c: c.system,
)
def test_agrees_with_myriad_along_the_middle_control(x64, counterpart):
    task, theirs = TASKS[counterpart.task](), ROLLOUTS[counterpart.system]
    ours = open_loop(task, jnp.array(theirs["u"], float).reshape(task.num_steps, -1), task.x0)
    states = np.array(theirs["states"])
    # 1e-5 is the promised accuracy of the default grid, relative to the size of each state on its path.
    np.testing.assert_array_less(np.max(np.abs(ours.xs - states), 0), 1e-5 * np.max(np.abs(states), 0) + 1e-9)
    if counterpart.task != "rocket_landing":  # it falls below ground, which Myriad does not price
        np.testing.assert_allclose(jnp.sum(ours.costs), theirs["running_cost"], rtol=1e-5, atol=1e-9)


# --- each documented difference to Myriad


@pytest.mark.parametrize(
    "counterpart", [c for c in PARITY if not c.terminal and c.components != ()], ids=lambda c: c[0]
)
def test_targets_are_priced_on_top(x64, counterpart):
    task = TASKS[counterpart.task]()
    (_, xs, _), _, _, theirs = points(counterpart.system)
    targets = np.array([math.nan if x is None else x for x in POINTS[counterpart.system]["x_T"]], float)
    np.testing.assert_allclose([s.target for s in task.states], targets)
    priced, free = 0.0, np.isnan(targets)
    for i in np.flatnonzero(~free):
        gap, state = xs[:, i] - targets[i], task.states[i]
        if state.unit == "rad":
            gap = np.arctan2(np.sin(gap), np.cos(gap))
        low, high = POINTS[counterpart.system]["state_bounds"][i]
        priced += (gap / (high - low)) ** 2
    expected = theirs[:, 0] + task.weight * priced
    np.testing.assert_allclose(jax.vmap(task.terminal_cost)(xs), expected, rtol=1e-9)  # rounding only
    at_target = jnp.where(free, 0.0, targets)
    assert end_error(task, at_target) == 0
    np.testing.assert_allclose(task.terminal_cost(at_target), 0, atol=1e-12)


def test_angles_miss_the_short_way_round(x64):
    task = TASKS["cartpole"]()
    x = jnp.array([1.0, -math.pi, 0.0, 0.0])
    assert end_error(task, x) < 1e-12  # a whole turn from the target: rounding of 2 pi
    np.testing.assert_allclose(end_error(task, x.at[1].add(-0.4)), 0.4 / (4 * math.pi), rtol=1e-12)  # rounding
    np.testing.assert_allclose(end_error(task, x.at[0].add(1.0)), 1 / 4)
    assert end_error(TASKS["harvest"](), jnp.ones(1)) == 0


def test_cartpole_keeps_its_energy(x64):
    task = TASKS["cartpole"]()

    def energy(x):
        _, angle, velocity, spin = x
        tip = (velocity + task.l * spin * jnp.cos(angle)) ** 2 + (task.l * spin * jnp.sin(angle)) ** 2
        return (task.m_1 * velocity**2 + task.m_2 * tip) / 2 - task.m_2 * task.g * task.l * jnp.cos(angle)

    assert_power_balance(task, energy, lambda x, u: u[0] * x[2], 0.0)
    at, dynamics, _, _ = points("CartPole")  # Myriad's pole differs by the factor that it drops
    sin, cos, spin = np.sin(at[1][:, 1]), np.cos(at[1][:, 1]), at[1][:, 3]
    dropped = task.m_2 * cos * spin**2 * (1 - sin) / (task.m_1 + task.m_2 * sin**2)
    field = jax.vmap(task.vector_field)(*at)
    np.testing.assert_allclose(field[:, 3] - dropped, dynamics[:, 3], rtol=1e-9)  # rounding only


@pytest.mark.parametrize(("name", "idle"), [("double_pendulum", 0.0), ("double_pendulum_launch", 0.3)])
def test_double_pendulums_keep_their_energy(x64, name, idle):
    task = TASKS[name]()

    def energy(x):
        first, second, spin_1, spin_2 = x
        kinetic = spin_1**2 + spin_2**2 / 2 + spin_1 * spin_2 * jnp.cos(first - second)
        return kinetic - task.g * (2 * jnp.cos(first) + jnp.cos(second))

    # The elbow's torque acts on the angle between the links.
    def power(x, u):
        return u[0] * x[2] + u[1] * (x[3] - x[2]) if len(task.controls) == 2 else jnp.zeros(())

    assert_power_balance(task, energy, power, idle)


def assert_power_balance(task, energy, power, idle):
    """Assert that dE/dt is the power of the controls at random points, and that a free rollout keeps its energy."""
    rng = np.random.default_rng(0)
    low, high = task.bounds
    for _ in range(10):
        x, u = jnp.array(rng.normal(size=4) * 3), jnp.array(rng.uniform(low, high))
        rate = jax.jvp(energy, (x,), (task.vector_field(0.0, x, u),))[1]
        np.testing.assert_allclose(rate, power(x, u), atol=1e-11 * float(energy(jnp.abs(x)) + 100))  # rounding
    xs = open_loop(task, held(task, idle), jnp.array([0.0, 2.0, 0.5, 0.0])).xs
    energies = jax.vmap(energy)(xs[2:])  # a launch sets an angle in the first interval
    # 1e-5 is integration error; a first-order mistake in the field drifts by percents over 100 intervals.
    np.testing.assert_allclose(energies, energies[0], rtol=1e-5)


def test_pendulum_swings_at_its_own_frequency(x64):
    task = TASKS["pendulum"]()
    at, dynamics, running, _ = points("Pendulum")
    field = jax.vmap(task.vector_field)(*at)
    np.testing.assert_allclose(0.05 * field[:, 1], dynamics[:, 1], rtol=1e-9)  # Myriad's extra factor; rounding only
    priced = jax.vmap(task.running_cost)(*at) - wrap(jnp.asarray(at[1][:, 0]) - math.pi) ** 2
    np.testing.assert_allclose(priced, running[:, 0] - wrap(jnp.asarray(at[1][:, 0])) ** 2, rtol=1e-9)
    assert task.vector_field(0.0, jnp.array([0.0, 9.0]), jnp.zeros(1))[0] == 9  # where Myriad cuts the speed to 8
    swing = open_loop(task, held(task, 0.0), jnp.array([1e-3, 0.0])).xs[:, 0]
    exact = 1e-3 * np.cos(math.sqrt(3 * task.g / (2 * task.l)) * task.dt * np.arange(task.num_steps + 1))
    np.testing.assert_allclose(swing, exact, atol=1e-8)  # the period grows by angle² / 16: a phase of 4e-6 at the end


def test_pendulum_pays_for_hanging(x64):
    task = TASKS["pendulum"]()
    idle, upright = open_loop(task, held(task, 0.0), task.x0), jnp.array([math.pi, 0.0])
    np.testing.assert_allclose(jnp.sum(idle.costs), math.pi**2 * task.horizon)
    assert task.running_cost(0.0, upright, jnp.zeros(1)) == 0


def test_mountain_car_has_a_hill(x64):
    task = TASKS["mountain_car"]()
    at, dynamics, _, _ = points("MountainCar")
    x, field = at[1][:, 0], jax.vmap(task.vector_field)(*at)
    parabola = dynamics[:, 1] + task.gravity * x
    np.testing.assert_allclose(field[:, 1] + task.gravity * np.cos(3 * x), parabola, rtol=1e-9)  # rounding only
    # The car is underactuated: from rest in the valley, full throttle does not reach the goal.
    drive = open_loop(task, held(task, 1.0), jnp.array([-math.pi / 6, 0.0]))
    assert jnp.max(drive.xs[:, 0]) < 0.2


def test_simple_case_has_finite_bounds():
    (control,) = TASKS["simple_case"]().controls
    assert (control.low, control.high) == (-1.0, 2.0)


def test_invasive_plant_is_the_map_under_euler_steps(x64):
    task = TASKS["invasive_plant"]()
    (_, xs, us), theirs, _, _ = points("InvasivePlant")
    np.testing.assert_allclose(xs + jax.vmap(task.vector_field)(np.zeros(24), xs, us), theirs, rtol=1e-9)  # rounding
    ends = jax.vmap(task.terminal_cost)(xs)
    np.testing.assert_allclose(ends, np.sum(xs, 1), rtol=1e-9)  # the documented price of the plants left; rounding


def test_tumour_prices_the_dose_beyond_the_limit(x64):
    task = TASKS["tumour"]()
    x = task.x0.at[2].set(15.0)
    assert task.terminal_cost(x) == x[0]
    np.testing.assert_allclose(task.terminal_cost(x.at[2].add(2.0)) - x[0], 4 * task.weight, rtol=1e-9)  # rounding


def test_rocket_prices_the_ground(x64):
    task = TASKS["rocket_landing"]()
    u, up = jnp.array([0.5, 0.1]), jnp.array([0.0, 0.0, 3.0, 0.0, 0.0, 0.0])
    below = task.running_cost(0.0, -up, u) - task.running_cost(0.0, up, u)
    np.testing.assert_allclose(below, 9 * task.price_ground, rtol=1e-9)  # rounding only


def test_bacteria_die_out_on_every_grid(x64):
    coarse, fine = (
        open_loop(t, held(t, 2.0), t.x0) for t in (TASKS["bacteria"](), TASKS["bacteria"](num_steps=400, substeps=4))
    )
    assert coarse.xs[-1, 0] <= 0
    for x in (0.0, -0.1):
        assert TASKS["bacteria"]().vector_field(0.0, jnp.array([x]), jnp.array([2.0])) == 0
    np.testing.assert_allclose(coarse.cost, fine.cost, rtol=1e-12)  # extinction is absorbing: the same cost exactly


# --- closed forms


def test_timber_harvest_optimum(x64):
    task = TASKS["timber_harvest"]()
    us = jnp.where(jnp.arange(100) < 80, 1.0, 0.0)[:, None]  # invest until T - 1, then nothing
    np.testing.assert_allclose(open_loop(task, us, task.x0).cost, -100 * math.e**4, rtol=1e-8)  # integration error


def test_bioreactor_optimum(x64):
    task = TASKS["bioreactor"]()
    trajectory = open_loop(task, held(task, 0.0), task.x0)
    np.testing.assert_allclose(trajectory.cost, -2 * math.log(2), rtol=1e-8)  # integration error


def test_toys_at_their_best(x64):
    copy = TASKS["copy"]()
    us = random_controls(copy, jax.random.key(0), 1)[0]
    assert open_loop(copy, us.at[0].set(0.5), copy.x0).cost == -10
    assert open_loop(copy, us.at[0].set(-1.0), copy.x0).cost == 10
    # With the distraction, the 19 controls after the first cost (r - u)² / 20 each.
    distracted = TASKS["copy"](distraction=1.0, r=0.25)
    cost = open_loop(distracted, us.at[0].set(0.5), copy.x0).cost
    np.testing.assert_allclose(cost, -10 + np.sum((0.25 - us[1:]) ** 2) / 20, rtol=1e-9)  # rounding only
    launch = TASKS["double_pendulum_launch"]()
    # The goal has 8 decimals; integration errors of 1e-9 per interval grow by about e^4.
    assert open_loop(launch, held(launch, 0.3), launch.x0).cost < 1e-9


def test_the_bounce_has_the_wrong_derivative(x64):
    task = TASKS["one_bounce"]()
    us = jnp.linspace(-1, 1, 101)
    end, slope = jax.jit(jax.vmap(jax.value_and_grad(lambda u: open_loop(task, held(task, u), task.x0).xs[-1, 0])))(us)
    trend = np.polyfit(us, end, 1)[0]
    assert -1.2 < trend < -0.7  # about -1: a faster ball comes back further
    assert slope.min() > -0.25  # the documented range is -0.2 to +0.9
    assert slope.max() > 0.9


class Linear(AbstractTask):
    """A linear-quadratic task, which the Riccati recursion solves exactly."""

    states = (StateVar("position", 1.0), StateVar("velocity", -0.5))
    controls = (ControlVar("force", -100.0, 100.0),)
    friction: float = 0.3
    price: float = 0.2
    final: float = 5.0
    horizon: float = 4.0
    num_steps: int = 20
    solver: str = "tsit5"
    substeps: int = 4

    def vector_field(self, t, x, u):
        return jnp.stack([x[1], x[0] - self.friction * x[1] + u[0]])

    def running_cost(self, t, x, u):
        return x[0] ** 2 + 0.5 * x[1] ** 2 + self.price * u[0] ** 2

    def terminal_cost(self, x):
        return self.final * x[0] ** 2


class Gains(AbstractPolicy):
    """u = -K[k] x; the carry counts the intervals."""

    gains: jax.Array

    def initial(self):
        return jnp.zeros((), int)

    def __call__(self, t, x, carry):
        return -self.gains[carry] @ x, carry + 1


def test_linear_quadratic_optimum(x64):
    task = Linear()
    # z = (x, u) with u held: over an interval z' = F z and the cost is z' W z (Van Loan, 1978).
    F = np.array([[0.0, 1.0, 0.0], [1.0, -task.friction, 1.0], [0.0, 0.0, 0.0]])
    Q = np.diag([1.0, 0.5, task.price])
    E = scipy.linalg.expm(task.dt * np.block([[-F.T, Q], [np.zeros((3, 3)), F]]))
    G = E[3:, 3:]
    W = G.T @ E[:3, 3:]
    P, gains = np.diag([task.final, 0.0]), []
    for _ in range(task.num_steps):
        H = W + G[:2].T @ P @ G[:2]
        K = H[2:, :2] / H[2, 2]
        P = H[:2, :2] - K.T @ H[2:, :2]
        gains.append(K)
    optimal = rollout(task, Gains(jnp.array(gains[::-1])), task.x0)
    np.testing.assert_allclose(optimal.cost, task.x0 @ P @ task.x0, rtol=1e-8)  # integration error
    gradient = jax.jit(jax.grad(lambda us: open_loop(task, us, task.x0).cost))(optimal.us)
    np.testing.assert_allclose(gradient, 0, atol=1e-6)  # first-order optimal up to integration error


# --- accuracy of the default grid


@every_task
def test_fixed_steps_agree_with_an_adaptive_solution(x64, name):
    task = TASKS[name]()
    us = random_controls(task, jax.random.key(1), 1)[0]
    cost, _ = differentiated(name)(us, task.x0)
    np.testing.assert_allclose(cost, adaptive_cost(task, us), rtol=1e-5)  # the accuracy that the project promises


def test_the_clock_runs_within_an_interval(x64):
    task = TASKS["harvest"](substeps=3)  # its price rises with time
    us = random_controls(task, jax.random.key(1), 1)[0]
    # One step per interval errs by 1e-8, three steps by 3^5 times less; a clock that stood still would err by 1e-3.
    np.testing.assert_allclose(open_loop(task, us, task.x0).cost, adaptive_cost(task, us), rtol=1e-9)


def test_tsit5_has_order_five(x64):
    def end(substeps, solver="tsit5"):
        task = TASKS["van_der_pol"](substeps=substeps, solver=solver)
        return open_loop(task, random_controls(task, jax.random.key(0), 1)[0], task.x0).xs[-1]

    truth = end(8, "dopri8")  # of order 8, with steps of 1/80
    errors = [float(jnp.max(jnp.abs(end(n) - truth))) for n in (1, 2, 4)]
    orders = np.log2(errors[:-1]) - np.log2(errors[1:])
    assert np.all((orders > 4.5) & (orders < 6)), orders  # 5 in the limit of small steps


# --- what training needs


@every_task
def test_finite_under_random_controls_and_in_every_corner(name):
    task = TASKS[name]()  # float32, as in training
    corners = [held(task, jnp.array(u)) for u in itertools.product(*zip(*task.bounds, strict=True))]
    us = jnp.concatenate([random_controls(task, jax.random.key(0), 1000), jnp.stack(corners)]).astype(jnp.float32)
    costs, gradients = jax.jit(jax.vmap(jax.value_and_grad(lambda u: open_loop(task, u, task.x0).cost)))(us)
    assert costs.dtype == jnp.float32
    assert jnp.all(jnp.isfinite(costs))
    assert jnp.all(jnp.isfinite(gradients))


@every_task
def test_gradients_agree_with_central_differences(x64, name):
    task = TASKS[name]()
    low, high = task.bounds
    us, direction = (random_controls(task, key, 1)[0] for key in jax.random.split(jax.random.key(0)))
    us = (low + high) / 2 + 0.9 * (us - (low + high) / 2)  # inside, so that no difference is clipped
    direction = (direction - (low + high) / 2) / math.sqrt(task.num_steps)
    step = 1e-6
    costs = [differentiated(name)(us + k * step * direction, task.x0)[0] for k in (-2, -1, 1, 2)]
    differences = (costs[0] - 8 * costs[1] + 8 * costs[2] - costs[3]) / (12 * step)
    cost, gradient = differentiated(name)(us, task.x0)
    # The differences are of fourth order in the step, so the rounding of the cost is left, divided by the step.
    tolerance = 1e-5 * abs(differences) + 1e-13 * abs(cost) / step
    assert jnp.any(gradient != 0)
    assert abs(jnp.sum(gradient * direction) - differences) <= tolerance


@every_task
def test_the_declared_floor_fits(x64, name):
    """Where the first control decides everything, the best constant is the optimum, so another floor is declared."""
    task = TASKS[name]()
    us, others = random_controls(task, jax.random.key(0), 2)
    cost, swapped = (differentiated(name)(u, task.x0)[0] for u in (us, others.at[0].set(us[0])))
    assert (cost == swapped) == (task.floor == "random")


# --- starts, and the form of a task's file


@every_task
def test_starts_are_around_the_fixed_one(x64, name):
    task = TASKS[name]()
    starts = jax.vmap(task.sample_start)(jax.random.split(jax.random.key(0), 200))
    for i, state in enumerate(task.states):
        spread = 0.1 * abs(state.start) if state.spread is None else state.spread
        assert np.all(np.abs(starts[:, i] - state.start) <= spread)
        assert np.all((starts[:, i] >= state.low) & (starts[:, i] <= state.high))
        assert np.ptp(starts[:, i]) >= 0.8 * min(spread, state.high - state.low)  # 200 draws fill the allowed range
    low, high = task.bounds
    assert all(jnp.isfinite(differentiated(name)(held(task, (low + high) / 2), x0)[0]) for x0 in starts[:10])


def test_starts_stay_where_the_task_is_defined(x64):
    def starts(name):
        return jax.vmap(TASKS[name]().sample_start)(jax.random.split(jax.random.key(0), 200))

    assert np.all((starts("cancer_treatment") > 0) & (starts("cancer_treatment") <= 1))
    assert np.all(starts("tumour")[:, :2] > 0)
    assert np.all(starts("predator_prey")[:, 2] == 0)
    assert np.all(starts("copy") == 0)
    assert np.all(starts("one_bounce") == 0)
    epidemic = starts("epidemic_seirn")
    assert np.all(epidemic[:, 3] >= np.sum(epidemic[:, :3], 1))  # the number of recovered people is not negative


@every_task
def test_a_task_is_a_short_file_with_a_source(name):
    file = inspect.getfile(TASKS[name])
    text, tasks = Path(file).read_text(), [task for task in TASKS.values() if inspect.getfile(task) == file]
    assert len(text.splitlines()) < 60 * len(tasks)
    assert "Source" in text.split('"""')[1]


def test_bad_tasks_are_refused_with_reasons():
    class Unbounded(AbstractTask):
        states = (StateVar("state", 0.0),)
        controls = (ControlVar("push", 0.0, math.inf),)
        horizon: float = 1.0
        num_steps: int = 10
        solver: str = "tsit5"
        substeps: int = 1

        def vector_field(self, t, x, u):
            return u

        def running_cost(self, t, x, u):
            return u[0]

        def terminal_cost(self, x):
            return x[0]

    class Aimless(Linear):
        states = (StateVar("position", 1.0, target=0.0), StateVar("velocity", -0.5))

    with pytest.raises(ValueError, match=r"control 'push' needs finite bounds low < high, got \[0.0, inf\]"):
        Unbounded()
    with pytest.raises(ValueError, match="state 'position' has a target, so it needs a finite range"):
        Aimless()
    for setting, value in {"num_steps": 0, "substeps": 0, "horizon": -1.0}.items():
        with pytest.raises(ValueError, match=f"Cartpole: {setting} must be .*got {value}"):
            TASKS["cartpole"](**{setting: value})
    with pytest.raises(TypeError):
        TASKS["cartpole"](gravity=1.0)


def test_a_hybrid_task_jumps_at_the_end_of_an_interval(x64):
    task = TASKS["one_bounce"]()
    x, u = jnp.array([-0.99, -5.0]), jnp.array([0.5])
    after, _ = transition(task, 0.5, x, u)
    travelled = (1 - math.exp(-0.1)) / 10 * -5.0
    np.testing.assert_allclose(after, [-0.99 + travelled, 5 * math.exp(-0.1)], rtol=1e-6)  # integration error
