"""Does a method that is told its budget fit it?"""

import equinox as eqx

from bench.budget import Budget, BudgetError
from bench.errors import ContractError, require
from bench.method import AbstractBudgetedMethod, AbstractMethod, within
from tasks.base import AbstractTask

RUNS = (1, 2, 1000)  # steps of the method: a run that is hardly paid for, and a long one


def require_fit(method: AbstractMethod, task: AbstractTask) -> None:
    """Tell a method the budgets of a short and a long run, if it asks for them. Raises ContractError."""
    if not isinstance(method, AbstractBudgetedMethod):
        return
    usage = method.usage(task)
    for steps in RUNS:
        env_steps = max(1, usage.init_env_steps + steps * usage.env_steps)
        budget = Budget(env_steps, acting_env_steps=usage.acting_env_steps)
        told = within(method, task, budget)
        try:
            budget.steps(told.usage(task))
        except BudgetError as error:
            raise ContractError(f"within() gives a method that does not fit: {error}") from error
        twice = within(told, task, budget)
        require(eqx.tree_equal(told, twice), "within(), done twice, gives another method than done once")
