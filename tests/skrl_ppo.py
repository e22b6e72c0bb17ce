"""PPO of the library skrl on environments of ours: a client that is not ours."""

import flax.linen
import numpy as np
import skrl
from skrl.agents.jax.ppo import PPO, PPO_CFG
from skrl.envs.wrappers.jax import wrap_env
from skrl.memories.jax import RandomMemory
from skrl.models.jax import DeterministicMixin, GaussianMixin, Model
from skrl.trainers.jax import SequentialTrainer
from skrl.utils import set_seed

ROLLOUTS = 20


class Actor(GaussianMixin, Model):
    """The policy of skrl's agent: mean and spread of its actions."""

    def __init__(self, **spaces):
        Model.__init__(self, **spaces)
        GaussianMixin.__init__(self)

    @flax.linen.compact
    def __call__(self, inputs, role):
        hidden = flax.linen.tanh(flax.linen.Dense(32)(inputs["observations"]))
        log_std = self.param("log_std", flax.linen.initializers.constant(-0.5), (self.num_actions,))
        return flax.linen.Dense(self.num_actions)(hidden), {"log_std": log_std}


class Critic(DeterministicMixin, Model):
    """The value function of skrl's agent."""

    def __init__(self, **spaces):
        Model.__init__(self, **spaces)
        DeterministicMixin.__init__(self)

    @flax.linen.compact
    def __call__(self, inputs, role):
        return flax.linen.Dense(1)(flax.linen.tanh(flax.linen.Dense(32)(inputs["observations"]))), {}


class SkrlPPO:
    """PPO on `size` environments in one."""

    def __init__(self, env, size, folder):
        set_seed(1)
        skrl.config.jax.device = "cpu"
        self.env = wrap_env(env, wrapper="gymnasium", verbose=False)
        spaces = {name: getattr(self.env, name) for name in ("observation_space", "action_space", "device")}
        self.models = {"policy": Actor(**spaces), "value": Critic(**spaces)}
        for role, model in self.models.items():
            model.init_state_dict(role=role)
        quiet = {"directory": str(folder), "write_interval": 0, "checkpoint_interval": 0}
        settings = {"rollouts": ROLLOUTS, "learning_epochs": 4, "mini_batches": 4, "learning_rate": 3e-3}
        self.agent = PPO(
            models=self.models,
            memory=RandomMemory(memory_size=ROLLOUTS, num_envs=size, device=self.env.device),
            cfg=PPO_CFG(**settings, experiment=type(PPO_CFG().experiment)(**quiet)),
            **spaces,
        )

    def train(self, steps):
        run = {"timesteps": steps, "headless": True, "disable_progressbar": True, "close_environment_at_exit": False}
        SequentialTrainer(env=self.env, agents=self.agent, cfg=run).train()

    def act(self, observation):
        """The mean action: `policy.act` would draw, and move the generator of the training."""
        policy = self.models["policy"]
        mean, _ = policy.apply(policy.state_dict.params, {"observations": observation[None]}, "policy")
        return np.asarray(mean)[0]
