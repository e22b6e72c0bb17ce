"""The methods, in reading order: world models as the paper names them, the simulator, model-free ones, floors."""

from collections.abc import Callable
from functools import partial

from baselines.constant import Constant
from baselines.evolution import Evolution
from baselines.model_gradient import ModelGradient
from baselines.online_decision_transformer import OnlineDecisionTransformer
from baselines.ppo import PPO
from baselines.random_controls import Random
from baselines.recurrent import ActionsRecurrent, GRUCell, LSTMCell, VanillaCell
from baselines.sac import SAC
from baselines.short_horizon_actor_critic import SHAC
from baselines.simulator_gradient import SimulatorGradient
from baselines.world_models import AbstractWorldModel, ActionsTransformer, HistoryTransformer, OneStep
from bench.method import AbstractMethod


def _through(model: Callable[..., AbstractWorldModel], *tuned: float, **updates: int) -> Callable[..., ModelGradient]:
    """Policy gradients through a model, with what is tuned in the order of `ModelGradient.search`."""
    return partial(ModelGradient, model=model, **dict(zip(ModelGradient.search, tuned, strict=True)), **updates)


METHODS: dict[str, Callable[..., AbstractMethod]] = {
    "awm_transformer": _through(
        ActionsTransformer, 0.00429, 0.00491, 0.219, 0.0273, model_updates=40, policy_updates=40
    ),
    "awm_gru": _through(partial(ActionsRecurrent, cell=GRUCell), 0.00411, 0.00985, 0.0606, 0.0386),
    "awm_lstm": _through(partial(ActionsRecurrent, cell=LSTMCell), 0.00175, 0.00766, 0.524, 0.025),
    "awm_rnn": _through(partial(ActionsRecurrent, cell=VanillaCell), 0.0105, 0.00156, 0.178, 0.0267),
    "history_model": _through(HistoryTransformer, 0.00659, 0.00354, 0.211, 0.0256, model_updates=40, policy_updates=40),
    "one_step_model": _through(OneStep, 0.00329, 0.00326, 0.0831, 0.0259),
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
