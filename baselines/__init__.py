"""The methods, in reading order.

World models as the paper names them, planning with them, the simulator, model-free methods, floors.
"""

from collections.abc import Callable
from functools import partial
from pkgutil import extend_path

from baselines.constant import Constant
from baselines.evolution import Evolution
from baselines.model_gradient import ModelGradient
from baselines.online_decision_transformer import OnlineDecisionTransformer
from baselines.planning import Planning
from baselines.ppo import PPO
from baselines.random_controls import Random
from baselines.recurrent import ActionsRecurrent, GRUCell, LSTMCell, VanillaCell
from baselines.sac import SAC
from baselines.short_horizon_actor_critic import SHAC
from baselines.simulator_gradient import SimulatorGradient
from baselines.state_space import ActionsStateSpace
from baselines.world_models import ActionsTransformer, HistoryTransformer, OneStep
from bench.method import AbstractMethod

__path__ = extend_path(__path__, __name__)  # a user's own folder baselines/ adds to this one

METHODS: dict[str, Callable[..., AbstractMethod]] = {
    "awm_transformer": partial(
        ModelGradient,
        model=ActionsTransformer,
        policy_learning_rate=0.00429,
        model_learning_rate=0.00491,
        noise=0.219,
        imagined_noise=0.0273,
        model_updates=40,
        policy_updates=40,
    ),
    "awm_gru": partial(
        ModelGradient,
        model=partial(ActionsRecurrent, cell=GRUCell),
        policy_learning_rate=0.00411,
        model_learning_rate=0.00985,
        noise=0.0606,
        imagined_noise=0.0386,
    ),
    "awm_lstm": partial(
        ModelGradient,
        model=partial(ActionsRecurrent, cell=LSTMCell),
        policy_learning_rate=0.00175,
        model_learning_rate=0.00766,
        noise=0.524,
        imagined_noise=0.025,
    ),
    "awm_rnn": partial(
        ModelGradient,
        model=partial(ActionsRecurrent, cell=VanillaCell),
        policy_learning_rate=0.0105,
        model_learning_rate=0.00156,
        noise=0.178,
        imagined_noise=0.0267,
    ),
    "awm_s5": partial(
        ModelGradient,
        model=ActionsStateSpace,
        policy_learning_rate=0.00411,
        model_learning_rate=0.003,
        noise=0.0606,
        imagined_noise=0.0386,
    ),
    "history_model": partial(
        ModelGradient,
        model=HistoryTransformer,
        policy_learning_rate=0.00659,
        model_learning_rate=0.00354,
        noise=0.211,
        imagined_noise=0.0256,
        model_updates=40,
        policy_updates=40,
    ),
    "one_step_model": partial(
        ModelGradient,
        model=OneStep,
        policy_learning_rate=0.00329,
        model_learning_rate=0.00326,
        noise=0.0831,
        imagined_noise=0.0259,
    ),
    "planning_awm_transformer": partial(
        Planning, model=ActionsTransformer, model_learning_rate=0.00491, noise=0.219, model_updates=40
    ),
    "planning_awm_gru": partial(
        Planning, model=partial(ActionsRecurrent, cell=GRUCell), model_learning_rate=0.00985, noise=0.0606
    ),
    "planning_history_model": partial(
        Planning, model=HistoryTransformer, model_learning_rate=0.00354, noise=0.211, model_updates=40
    ),
    "planning_one_step_model": partial(Planning, model=OneStep, model_learning_rate=0.00326, noise=0.0831),
    "simulator_gradient": SimulatorGradient,
    "simulator_gradient_oracle": partial(SimulatorGradient, charged=False, updates=50, learning_rate=3e-3),
    "shac": SHAC,
    "sac": SAC,
    "ppo": PPO,
    "online_decision_transformer": OnlineDecisionTransformer,
    "evolution": Evolution,
    "constant": Constant,
    "random": Random,
}
