"""Gymnasium environments of the tasks: importing this package registers each as "Myriad/<its class>-v0".

    gymnasium.make("bench.gym:Myriad/CancerTreatment-v0", num_steps=100)    # imports this package by itself

`record` makes an environment that puts an agent of another library on a suite's leaderboard.
"""

from bench.gym.environments import TaskEnv, TaskVectorEnv
from bench.gym.record import BudgetSpent, RecordedEnv, record

__all__ = ["BudgetSpent", "RecordedEnv", "TaskEnv", "TaskVectorEnv", "record"]
