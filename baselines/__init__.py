"""The methods, in reading order: world models as the paper names them, the simulator, model-free ones, floors."""

from collections.abc import Callable
from functools import partial

from baselines.constant import Constant
from baselines.evolution import Evolution
from baselines.model_gradient import ModelGradient
from baselines.online_decision_transformer import OnlineDecisionTransformer
from baselines.ppo import PPO
from baselines.random import Random
from baselines.recurrent import ActionsRecurrent, GRUCell, LSTMCell, VanillaCell
from baselines.sac import SAC
from baselines.short_horizon_actor_critic import SHAC
from baselines.simulator_gradient import SimulatorGradient
from baselines.world_models import ActionsTransformer, HistoryTransformer, OneStep
from bench.method import AbstractMethod

METHODS: dict[str, Callable[..., AbstractMethod]] = {
    "awm_transformer": partial(ModelGradient, model=ActionsTransformer),
    "awm_gru": partial(ModelGradient, model=partial(ActionsRecurrent, cell=GRUCell)),
    "awm_lstm": partial(ModelGradient, model=partial(ActionsRecurrent, cell=LSTMCell)),
    "awm_rnn": partial(ModelGradient, model=partial(ActionsRecurrent, cell=VanillaCell)),
    "history_model": partial(ModelGradient, model=HistoryTransformer),
    "one_step_model": partial(ModelGradient, model=OneStep),
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
