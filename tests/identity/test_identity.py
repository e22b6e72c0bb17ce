"""Hashes of values, code and programs follow what these are, in every process, and nothing else."""

import copy
import functools
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bench import registry
from bench.identity import UnhashableError, digest
from bench.reference.fingerprint import fingerprint
from bench.training.programs import method_fingerprint
from tasks.base import AbstractTask, ControlVar, StateVar

RATE = 0.5
HERE = Path(__file__).parent
TABLE = np.linspace(1.0, 2.0, 2000)


def tariff(height):
    def price(t):
        return 1 + height * jnp.sin(RATE * t)

    return price


class Step(NamedTuple):
    at: float

    def __call__(self, t):
        return jnp.where(t < self.at, 1.0, 2.0)


class Meter:
    def __init__(self, scale):
        self.scale = scale

    def price(self, t):
        return self.scale * t


class Battery(AbstractTask):
    """min ∫ p(t) u + u² / 5 dt,  x' = u, with a price p that is a function."""

    states = (StateVar("charge", 0.5, 0.0, 1.0),)
    controls = (ControlVar("power", -1.0, 1.0),)
    price: Any = eqx.field(static=True, default=tariff(1.0))
    table: Any = None
    horizon: float = 2.0
    num_steps: int = 20
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        return u

    def running_cost(self, t, x, u):
        paid = self.price(t) if self.table is None else jnp.interp(t, jnp.linspace(0, 2, len(self.table)), self.table)
        return paid * u[0] + 0.2 * u[0] ** 2

    def terminal_cost(self, x):
        return jnp.zeros_like(x[0])


VALUES = (
    tariff(1.0),
    functools.partial(jnp.interp, xp=TABLE, fp=TABLE),
    Step(1.5),
    Meter(2.0).price,
    jax.jit(tariff(2.0)),
    jnp.sin,
    {"b", "a", "c"},
    {"x": np.arange(3), "y": lambda t: -t},
    eqx.nn.MLP(2, 1, 4, 1, key=jax.random.key(0)),
    registry.method("awm_gru"),
    registry.task("cartpole"),
)


def in_all_ways():
    """The hashes of all values, and the fingerprints of tasks with some of them."""
    prices = (tariff(1.0), Step(1.5), Meter(2.0).price, jnp.sin, jax.jit(tariff(2.0)))
    fingerprints = [fingerprint(Battery(price=price)) for price in prices]
    return [*map(digest, VALUES), *fingerprints, method_fingerprint(Battery(), registry.method("evolution"))]


def test_hashes_are_the_same_in_every_process():
    """Two processes that order sets differently; pytest's own has types checked, which is other code."""
    code = "import test_identity as t; print(*t.in_all_ways())"
    path = os.pathsep.join([str(HERE), str(HERE.parents[1])])

    def printed(seed):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": path}
        return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)

    first = printed("1").stdout.split()
    assert len(first) == len(VALUES) + 6
    assert printed("2").stdout.split() == first


def test_other_values_have_other_hashes():
    nudged = TABLE.copy()
    nudged[1000] += 1e-12
    values = [1, 1.0, "1", True, None, (1,), [1], {1}, b"1", -0.0, 0.0, float("nan"), np.float32(1), TABLE, nudged]
    values += [TABLE.astype(np.float32), TABLE.reshape(2, -1), jnp.arange(3), (TABLE, nudged), (nudged, TABLE)]
    values += [
        tariff(1.0),
        tariff(2.0),
        Step(1.0),
        Step(2.0),
        Meter(1.0),
        Meter(2.0),
        Meter(1.0).price,
        jnp.sin,
        jnp.cos,
    ]
    values += [functools.partial(tariff(1.0), 1), functools.partial(tariff(1.0), 2), jax.jit(tariff(1.0))]
    assert len({digest(value) for value in values}) == len(values)


def test_equal_values_have_equal_hashes():
    for one, other in [
        (jnp.arange(3.0), np.arange(3, dtype=np.float32)),
        (np.arange(3), np.arange(3).astype(">i8")),
        (np.asfortranarray(np.eye(3)), np.eye(3)),
        (tariff(1.0), tariff(1.0)),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (Meter(1.0), Meter(1.0)),
    ]:
        assert digest(one) == digest(other)


def function(source):
    """The function f that a source text defines."""
    known = {"__name__": "made"}
    exec(source, known)
    return known["f"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("def f(x):\n return x + 1", "def f(x):\n # why\n\n return x + 1", True),
        ("def f(x):\n '''One.'''\n return x", "def f(x):\n '''Two.'''\n return x", True),
        ("def f(x):\n y = 2 * x\n return y", "def f(x):\n z = 2 * x\n return z", True),
        ("def f(x):\n return x + 1", "def f(x):\n return x - 1", False),
        ("def f(x):\n return x + 1", "def f(x):\n return x + 1.0", False),
        ("def f(x, a=1):\n return x + a", "def f(x, a=2):\n return x + a", False),
        ("A = 1\ndef f(x):\n return x + A", "A = 2\ndef f(x):\n return x + A", False),
        ("g = abs\ndef f(x):\n return g(x)", "g = min\ndef f(x):\n return g(x)", False),
        ("def f(x):\n return [x + i for i in (1, 2)]", "def f(x):\n return [x - i for i in (1, 2)]", False),
        (
            "def g(x):\n return f(x)\ndef f(x):\n return g(-x)",
            "def g(x):\n return f(x)\ndef f(x):\n return g(x)",
            False,
        ),
        ("class C:\n a = 1\n\ndef f(x):\n return C.a", "class C:\n a = 2\n\ndef f(x):\n return C.a", False),
        ("class C:\n 'One.'\n\ndef f(x):\n return C", "class C:\n 'Two.'\n\ndef f(x):\n return C", True),
    ],
)
def test_a_function_counts_by_what_it_does(one, other, same):
    assert (digest(function(one)) == digest(function(other))) is same


def test_a_program_counts_by_what_it_computes():
    def program(function, *arguments):
        return digest(jax.make_jaxpr(function)(*(arguments or (1.0,))))

    def renamed(z):
        return jnp.sin(z) + jnp.asarray(TABLE)[3]

    same = program(lambda x: jnp.sin(x) + jnp.asarray(TABLE)[3])
    assert program(renamed) == same
    nudged = TABLE * np.where(np.arange(2000) == 1000, 1.001, 1)
    scan = [program(lambda x, s=s: jax.lax.scan(lambda c, _: (s * c, c), x, None, 3)) for s in (1, -1)]
    others = [program(lambda x: jnp.sin(x) - 1), program(lambda x: jnp.sin(x) + jnp.asarray(nudged)[3]), *scan]
    assert len({same, *others, program(jnp.sin, np.ones(2)), program(jnp.sin, np.ones(3))}) == 7


def test_a_rule_of_differentiation_counts_where_it_was_applied():
    def curved(slope):
        f = jax.custom_jvp(lambda x: x)
        f.defjvp(lambda p, t: (p[0], slope * t[0]))
        return digest(jax.make_jaxpr(jax.grad(f))(1.0)), digest(f)

    assert len({*curved(1.0), *curved(2.0)}) == 4
    assert curved(1.0) == curved(1.0)


@pytest.mark.parametrize("value", [threading.Lock(), (i for i in ()), {"in": [threading.Lock()]}])
def test_what_lives_in_one_process_only_is_refused(value):
    with pytest.raises(UnhashableError, match=r"a (lock|generator)"):
        digest(value)


def test_a_setting_that_cannot_be_hashed_is_refused_in_one_line():
    with pytest.raises(registry.SettingError, match="price holds a lock, which another process") as caught:
        registry.settings_of(Battery(price=threading.Lock()))
    assert "\n" not in str(caught.value)


def test_settings_show_arrays_and_functions_without_addresses():
    shown = registry.settings_of(Battery(price=Meter(1.0).price, table=TABLE))
    assert shown["price"] == f"{__name__}:Meter.price"
    assert shown["table"].startswith("float64[2000] ")
    assert registry.settings_of(Battery(price=jnp.sin))["price"].endswith(":sin")
    assert (
        registry.settings_of(Battery(price=Step(1.0)))["price"]
        != registry.settings_of(Battery(price=Step(2.0)))["price"]
    )


def test_a_task_with_functions_and_tables_is_told_from_its_like():
    nudged = TABLE.copy()
    nudged[1000] *= 1 + 1e-6  # between the probe points
    made = [Battery(), Battery(price=tariff(2.0)), Battery(price=Step(1.0)), Battery(price=Step(1.0001))]
    made += [
        Battery(price=Meter(1.0).price),
        Battery(price=Meter(2.0).price),
        Battery(table=TABLE),
        Battery(table=nudged),
    ]
    assert len({fingerprint(task) for task in made}) == len(made)
    assert fingerprint(Battery(price=tariff(1.0))) == fingerprint(Battery())
    with jax.enable_x64(True):
        assert fingerprint(Battery()) == fingerprint(made[0])


def test_a_class_is_the_same_after_an_instance_was_pickled():
    class Met(NamedTuple):
        a: int

    before = digest(Met)
    copy.copy(Met(1))
    assert "__slotnames__" in vars(Met)
    assert digest(Met) == before
