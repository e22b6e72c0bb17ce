"""The problems, in reading order: one state before three, smooth before bang-bang."""

from tasks.bacteria import Bacteria
from tasks.base import AbstractTask, ControlVar, StateVar
from tasks.bear_populations import BearPopulations
from tasks.bioreactor import Bioreactor
from tasks.cancer_treatment import CancerTreatment
from tasks.harvest import Harvest
from tasks.hiv_treatment import HIVTreatment
from tasks.mould_fungicide import MouldFungicide
from tasks.timber_harvest import TimberHarvest

TASKS: dict[str, type[AbstractTask]] = {
    "cancer_treatment": CancerTreatment,
    "mould_fungicide": MouldFungicide,
    "harvest": Harvest,
    "bacteria": Bacteria,
    "bioreactor": Bioreactor,
    "timber_harvest": TimberHarvest,
    "hiv_treatment": HIVTreatment,
    "bear_populations": BearPopulations,
}

__all__ = ["TASKS", "AbstractTask", "ControlVar", "StateVar"]
