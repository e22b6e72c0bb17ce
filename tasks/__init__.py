"""The problems, in reading order: the paper's eight, more biology, mechanics, toys with a memory, and chaos."""

from pkgutil import extend_path

from tasks.bacteria import Bacteria
from tasks.base import AbstractHybridTask, AbstractSolvedTask, AbstractTask, ControlVar, StateVar
from tasks.bear_populations import BearPopulations
from tasks.bioreactor import Bioreactor
from tasks.cancer_treatment import CancerTreatment
from tasks.cartpole import Cartpole
from tasks.constrained import AbstractConstrainedTask
from tasks.copy_task import Copy
from tasks.double_pendulum import DoublePendulum, DoublePendulumLaunch
from tasks.epidemic_seirn import EpidemicSEIRN
from tasks.glucose import Glucose
from tasks.harvest import Harvest
from tasks.hiv_treatment import HIVTreatment
from tasks.invasive_plant import InvasivePlant
from tasks.lorenz import Lorenz
from tasks.mould_fungicide import MouldFungicide
from tasks.mountain_car import MountainCar
from tasks.one_bounce import OneBounce
from tasks.pendulum import Pendulum
from tasks.predator_prey import PredatorPrey
from tasks.rocket_landing import RocketLanding
from tasks.simple_case import SimpleCase
from tasks.timber_harvest import TimberHarvest
from tasks.tumour import Tumour
from tasks.van_der_pol import VanDerPol

__path__ = extend_path(__path__, __name__)  # a user's own folder tasks/ adds to this one

TASKS: dict[str, type[AbstractTask]] = {
    "cancer_treatment": CancerTreatment,
    "mould_fungicide": MouldFungicide,
    "harvest": Harvest,
    "bacteria": Bacteria,
    "bioreactor": Bioreactor,
    "timber_harvest": TimberHarvest,
    "hiv_treatment": HIVTreatment,
    "bear_populations": BearPopulations,
    "simple_case": SimpleCase,
    "glucose": Glucose,
    "predator_prey": PredatorPrey,
    "epidemic_seirn": EpidemicSEIRN,
    "tumour": Tumour,
    "invasive_plant": InvasivePlant,
    "van_der_pol": VanDerPol,
    "mountain_car": MountainCar,
    "pendulum": Pendulum,
    "cartpole": Cartpole,
    "rocket_landing": RocketLanding,
    "copy": Copy,
    "one_bounce": OneBounce,
    "lorenz": Lorenz,
    "double_pendulum": DoublePendulum,
    "double_pendulum_launch": DoublePendulumLaunch,
}

__all__ = [
    "TASKS",
    "AbstractConstrainedTask",
    "AbstractHybridTask",
    "AbstractSolvedTask",
    "AbstractTask",
    "ControlVar",
    "StateVar",
]
