"""Gymnasium environments of the tasks: importing this package registers each as "Myriad/<its class>-v0".

    gymnasium.make("bench.gym:Myriad/CancerTreatment-v0", num_steps=100)    # imports this package by itself

`record` makes an environment that puts an agent of another library on a suite's leaderboard.
"""

try:
    import gymnasium
except ImportError as error:
    raise ImportError("the Gymnasium environments need gymnasium: pip install 'myriad-bench[gym]'") from error

from bench.gym.environments import TaskEnv, TaskVectorEnv
from bench.gym.record import BudgetSpent, RecordedEnv, record
from bench.registry import TASKS

__all__ = ["BudgetSpent", "RecordedEnv", "TaskEnv", "TaskVectorEnv", "record"]

for _name, _kind in TASKS.items():
    gymnasium.register(
        f"Myriad/{_kind.__name__}-v0",
        entry_point="bench.gym:TaskEnv",
        vector_entry_point="bench.gym:TaskVectorEnv",
        kwargs={"task": _name},
    )
