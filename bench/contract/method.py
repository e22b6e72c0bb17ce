"""Checks that every method must pass, on one small task; a method is compiled once for all of them."""

import tempfile
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from bench import registry
from bench.budget import COUNTS, Usage
from bench.contract.counting import Counter, counting_task
from bench.contract.fitting import require_fit
from bench.errors import ContractError, UsageError, require
from bench.machine import compilation
from bench.method import AbstractInformedMethod, AbstractMethod, inform
from bench.records.references import References
from bench.reference.fingerprint import fingerprint
from bench.reference.lookup import complete
from bench.simulate import AbstractPolicy, rollout
from bench.training.checkpoint import Checkpoint, Progress, program_digest, state_digests
from bench.training.hidden_simulation import simulation_in_policy, simulation_in_usage
from bench.tuning import search

SEEDS = (0, 1, 0)  # two are alike


class MethodUnderTest:
    """A method on a small counting task, with three seeds, two of them alike, for two steps."""

    def __init__(self, method: AbstractMethod):
        self.counter = Counter()
        self.task = counting_task(self.counter)
        # The counting task exists in this process only, so no file has its reference.
        known = (
            complete(References({}), "counted", self.task)
            if isinstance(method, AbstractInformedMethod)
            else References({})
        )
        self.method = inform(method, known.of(fingerprint(self.task)))
        keys = jax.vmap(jr.key)(jnp.array(SEEDS))
        self._lowered: dict[str, jax.stages.Lowered] = {}
        self._keys = [jax.vmap(lambda key, i=i: jr.fold_in(key, i))(keys) for i in range(3)]

    @cached_property
    def usage(self) -> Usage:
        """What the method declares to spend."""
        return self.method.usage(self.task)

    @cached_property
    def shapes(self) -> Any:
        """The shapes of the states of all seeds, which are the first axis, like in the training loop."""
        return jax.eval_shape(jax.vmap(lambda key: self.method.init(self.task, key)), self._keys[0])

    def lowered(self, name: str) -> jax.stages.Lowered:
        """Return a traced program: "init" or "step" for all seeds, or "policy", one episode."""
        if name not in self._lowered:
            self._lowered[name] = self.lower(name)
        return self._lowered[name]

    def lower(self, name: str) -> jax.stages.Lowered:
        """Trace a program anew."""
        function, arguments = {
            "init": (self._init, (self._keys[0],)),
            "step": (self._step, (self.shapes, self._keys[1])),
            "policy": (self._play, (jax.tree.map(_of_one_seed, self.shapes),)),
        }[name]
        # JAX traces a function only once, and a partial is a new one.
        return jax.jit(partial(function)).lower(*arguments)

    @cached_property
    def started(self) -> tuple[Any, tuple[int, int]]:
        """The state of each seed after `init`, and what `init` spent."""
        return self._counted(self.compiled("init"), self._keys[0])

    @cached_property
    def advance(self) -> Callable[[Any, Any], Any]:
        """One compiled step: (states, keys) -> states."""
        return self.compiled("step")

    def compiled(self, name: str) -> jax.stages.Compiled:
        """Compile a program, which runs three times at most."""
        return self.lowered(name).compile(compilation.quick_options())

    @cached_property
    def stepped(self) -> tuple[Any, tuple[int, int]]:
        """The state after one step, and what the step spent."""
        return self._counted(self.advance, self.started[0], self._keys[1])

    @cached_property
    def acted(self) -> tuple[Any, int]:
        """An episode of the trained policy, and the steps that were simulated beside its own, most of any seed."""
        # Traced here, in the first episode: what a policy simulates while it is traced counts too.
        play, played = jax.jit(partial(self._play), compiler_options=compilation.quick_options()), []
        for i in range(len(SEEDS)):
            state = jax.tree.map(lambda leaf, i=i: leaf[i], self.stepped[0])
            self.counter.spent()
            trajectory = jax.device_get(play(state))
            played.append((trajectory, self.counter.spent()[0] - self.task.num_steps))
        return played[0][0], max(steps for _, steps in played)

    def twice(self, after_one: Any) -> Any:
        """Return the state after the second step."""
        return self.advance(after_one, self._keys[2])

    # One seed after the other: under vmap, a computation that is the same for all seeds would be counted once.
    def _init(self, keys):
        return jax.lax.map(lambda key: self.method.init(self.task, key), keys)

    def _step(self, states, keys):
        return jax.lax.map(lambda inputs: self.method.step(self.task, inputs[0], inputs[1]), (states, keys))

    def _play(self, state):
        return rollout(self.task, self.method.policy(self.task, state), self.task.x0)

    def _counted(self, program, *arguments):
        self.counter.spent()  # tracing evaluates the task too (fingerprints); that is no simulation
        result = jax.block_until_ready(program(*arguments))
        steps, grad_steps = self.counter.spent()
        return result, (steps // len(SEEDS), grad_steps // len(SEEDS))


def _of_one_seed(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype)


def declares_whole_numbers(subject: MethodUnderTest) -> None:
    """The usage is in whole numbers of at least 0."""
    counts = {name: getattr(subject.usage, name) for name in COUNTS}
    wrong = {k: v for k, v in counts.items() if not isinstance(v, int) or isinstance(v, bool) or v < 0}
    require(not wrong, f"usage() must declare whole numbers of at least 0, got {wrong}")


def state_is_arrays(subject: MethodUnderTest) -> None:
    """The state holds arrays only."""
    leaves = jax.tree.leaves(subject.shapes)
    odd = [type(leaf).__name__ for leaf in leaves if not isinstance(leaf, jax.ShapeDtypeStruct)]
    require(not odd, f"a state must hold arrays only, init() returns {', '.join(odd)}")


def never_compiles_again(subject: MethodUnderTest) -> None:
    """One step returns the structure that it is given: the same tree, shapes, dtypes, and weakness of types."""
    before, after = subject.shapes, subject.lowered("step").out_info
    require(jax.tree.structure(before) == jax.tree.structure(after), "step() returns a state of another structure")
    for (path, old), new in zip(jax.tree.leaves_with_path(before), jax.tree.leaves(after), strict=True):
        old, new = ((leaf.shape[1:], str(leaf.dtype)) for leaf in (old, new))
        require(old == new, f"state{jax.tree_util.keystr(path)}: init() makes it {old}, step() {new} (shape, dtype)")


def spends_what_it_declares(subject: MethodUnderTest) -> None:
    """A method spends what it declares; an oracle, which declares that it is not charged, simulates more than that."""
    usage = subject.usage
    hidden = simulation_in_usage(subject.task, subject.method)
    require(not hidden, f"usage() {hidden}: it only declares what init() and step() spend")
    require(
        subject.started[1][0] == usage.init_env_steps,
        f"init() declares {usage.init_env_steps} environment steps and spends {subject.started[1][0]}",
    )
    for spent, declared, what in zip(
        subject.stepped[1], (usage.env_steps, usage.env_grad_steps), ("environment", "differentiated"), strict=True
    ):
        honest = spent == declared if usage.charged else spent > declared
        require(honest, f"step() declares {declared} {what} steps and spends {spent}")


def simulates_to_act_what_it_declares(subject: MethodUnderTest) -> None:
    """What `policy()` and the policy's calls simulate in a judged episode is declared."""
    declared, (_, spent) = subject.usage.acting_env_steps, subject.acted
    require(
        spent <= declared,
        f"usage() declares acting_env_steps = {declared}, and its policy simulates {spent} steps beside the episode's "
        "own to act in it",
    )
    state = jax.tree.map(lambda leaf: leaf[0], subject.stepped[0])
    hidden = "" if declared else simulation_in_policy(subject.task, subject.method, state)
    require(not hidden, f"usage() declares acting_env_steps = 0, and its policy {hidden}")


def only_the_seed_matters(subject: MethodUnderTest) -> None:
    """Equal seeds end in equal states, different seeds in different ones, and two traces are one program: a random
    number of Python or NumPy would be a constant in it."""
    for name in ("init", "step", "policy"):
        one, same = program_digest(subject.lowered(name)), program_digest(subject.lower(name))
        require(
            one == same,
            f"{name}() is another program each time it is traced: a random number of Python or NumPy, or a clock, is a "
            "constant in it. Draw from the key with jax.random",
        )
    first, other, again = state_digests(subject.stepped[0], len(SEEDS))
    require(first == again, "two runs with one seed end in different states: something else is random")
    require(first != other or not subject.usage.env_steps, "two seeds end in the same state: the key is not used")


def resumes_from_a_checkpoint(subject: MethodUnderTest) -> None:
    """A state that was written and read goes on to the same bits as one that was not."""
    after_one = subject.stepped[0]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        checkpoint = Checkpoint(Path(folder) / "c.checkpoint", {"seeds": list(SEEDS)})
        checkpoint.save("", Progress(after_one, 1, []))
        found = checkpoint.load("", subject.shapes)
    require(found is not None, f"its state does not survive a checkpoint: {' '.join(checkpoint.notes)}")
    assert found is not None
    equal = state_digests(subject.twice(found.state), len(SEEDS)) == state_digests(subject.twice(after_one), len(SEEDS))
    require(equal, "a run that is resumed goes on in another way: there is state outside the state")


def policy_acts(subject: MethodUnderTest) -> None:
    """The policy's controls have the right shape, are finite, and keep to the bounds."""
    task, states = subject.task, subject.stepped[0]
    state = jax.tree.map(lambda leaf: leaf[0], states)
    policy = subject.method.policy(task, state)
    require(isinstance(policy, AbstractPolicy), f"policy() returns a {type(policy).__name__}, no AbstractPolicy")
    low, high = task.bounds
    trajectory, _ = subject.acted
    require(trajectory.us.shape == (task.num_steps, len(low)), f"its controls have shape {trajectory.us.shape}")
    require(np.all(np.isfinite(trajectory.us)), "its controls are not finite after one step of training")
    within = np.all((trajectory.us >= low) & (trajectory.us <= high))
    require(within, "its controls leave the bounds")


def searches_around_its_defaults(subject: MethodUnderTest) -> None:
    """The search space contains the defaults, and `paced` names counts."""
    try:
        search.defaults(subject.method)
    except UsageError as error:
        raise ContractError(str(error)) from error
    settings = registry.settings_of(subject.method)
    wrong = [name for name in subject.method.paced if type(settings.get(name)) is not int]
    require(not wrong, f"`paced` must name settings that are whole numbers: {', '.join(wrong)}")


METHOD_CHECKS: Mapping[str, Callable[[MethodUnderTest], None]] = {
    "declares whole numbers": declares_whole_numbers,
    "searches around its defaults": searches_around_its_defaults,
    "fits its run": lambda subject: require_fit(subject.method, subject.task),
    "its state is arrays only": state_is_arrays,
    "one compilation serves all steps": never_compiles_again,
    "spends what it declares": spends_what_it_declares,
    "simulates to act what it declares": simulates_to_act_what_it_declares,
    "the seed matters, and only the seed": only_the_seed_matters,
    "resumes from a checkpoint to the bit": resumes_from_a_checkpoint,
    "its policy acts within the bounds": policy_acts,
}
