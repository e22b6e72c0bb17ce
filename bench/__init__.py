"""Measure how well methods learn to control differential equations, all under one budget.

Train the methods of a suite, then judge what they reached:

    records = bench.run_cells(bench.load_suite("smoke").cells(seeds=2), Path("results/smoke"))
    references = bench.References.beside(Path("results/smoke"))
    print(bench.build_leaderboard(records, references.by_fingerprint()).aggregate)

Every public name, by purpose (docs/python.md has examples; the tasks themselves are in `tasks`):

Run
    load_suite              A shipped suite by name, or any TOML file.
    suite_names             The names of the shipped suites.
    Suite                   Tasks, methods, seeds and a budget: what a suite's file says.
    Cell                    A task, a method and a block of seeds: the unit of work.
    Grid                    A grid other than the task's own.
    Allowance               The budget of a suite, in environment steps or in episodes.
    Budget                  What one run may spend, and when it is evaluated.
    run_cells               Train cells into a folder, and return their records.

Read
    RunRecord               The facts of one run.
    read_records            Every record of a folder.
    build_leaderboard       Records to tables: scores, ranks, intervals, curves.
    Leaderboard             These tables.
    Reference               Floor and best known cost of a task.
    References              All known references, a value that travels.
    lookup_reference        The reference of a task.
    complete_references     The same references, those of a task computed if they are missing.

Tasks and methods by name
    make_task               A task by name or "module:attr", with settings.
    make_method             A method by name or "module:attr", with settings.
    settings_of             Every setting of a task or a method, as values of JSON.
    run_checks              The contract of a task or a method, as `bench validate` checks it.

Simulate
    rollout                 One episode of a policy.
    open_loop               One episode of a control sequence.
    Trajectory              States, controls and costs of an episode.
    AbstractPolicy          The base of every policy.

Write a method
    AbstractMethod          The base of every method.
    AbstractModelMethod     The base of a method that fits a world model.
    AbstractInformedMethod  The base of a method that may know its task's floors.
    AbstractBudgetedMethod  The base of a method that must know the budget of its run.
    Fit                     A world model under training.
    Usage                   What a step of a method spends.
    Between                 The range in which a setting is tuned.

Errors
    UsageError              A mistake that the user can fix; its message says how.
    ContractError           A task or a method breaks its contract.
    RecordError             A file that is no record.

Importing `bench` loads no JAX: each name loads its module when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.analysis.leaderboard import Leaderboard
    from bench.analysis.leaderboard import build as build_leaderboard
    from bench.budget import Allowance, Budget, Usage
    from bench.contract.checks import run_checks
    from bench.errors import ContractError, UsageError
    from bench.method import (
        AbstractBudgetedMethod,
        AbstractInformedMethod,
        AbstractMethod,
        AbstractModelMethod,
        Between,
        Fit,
    )
    from bench.records.cell_file import read_records
    from bench.records.files import RecordError
    from bench.records.reference import Reference
    from bench.records.references import References
    from bench.records.run import RunRecord
    from bench.reference.lookup import complete as complete_references
    from bench.reference.lookup import lookup as lookup_reference
    from bench.registry import method as make_method
    from bench.registry import settings_of
    from bench.registry import task as make_task
    from bench.run import run as run_cells
    from bench.simulate import AbstractPolicy, Trajectory, open_loop, rollout
    from bench.suite import Cell, Grid, Suite
    from bench.suite import load as load_suite
    from bench.suite import names as suite_names

PUBLIC = {
    "AbstractBudgetedMethod": "bench.method:AbstractBudgetedMethod",
    "AbstractInformedMethod": "bench.method:AbstractInformedMethod",
    "AbstractMethod": "bench.method:AbstractMethod",
    "AbstractModelMethod": "bench.method:AbstractModelMethod",
    "AbstractPolicy": "bench.simulate:AbstractPolicy",
    "Allowance": "bench.budget:Allowance",
    "Between": "bench.method:Between",
    "Budget": "bench.budget:Budget",
    "Cell": "bench.suite:Cell",
    "ContractError": "bench.errors:ContractError",
    "Fit": "bench.method:Fit",
    "Grid": "bench.suite:Grid",
    "Leaderboard": "bench.analysis.leaderboard:Leaderboard",
    "RecordError": "bench.records.files:RecordError",
    "Reference": "bench.records.reference:Reference",
    "References": "bench.records.references:References",
    "RunRecord": "bench.records.run:RunRecord",
    "Suite": "bench.suite:Suite",
    "Trajectory": "bench.simulate:Trajectory",
    "Usage": "bench.budget:Usage",
    "UsageError": "bench.errors:UsageError",
    "build_leaderboard": "bench.analysis.leaderboard:build",
    "complete_references": "bench.reference.lookup:complete",
    "load_suite": "bench.suite:load",
    "lookup_reference": "bench.reference.lookup:lookup",
    "make_method": "bench.registry:method",
    "make_task": "bench.registry:task",
    "open_loop": "bench.simulate:open_loop",
    "read_records": "bench.records.cell_file:read_records",
    "rollout": "bench.simulate:rollout",
    "run_cells": "bench.run:run",
    "run_checks": "bench.contract.checks:run_checks",
    "settings_of": "bench.registry:settings_of",
    "suite_names": "bench.suite:names",
}

__all__ = [
    "AbstractBudgetedMethod",
    "AbstractInformedMethod",
    "AbstractMethod",
    "AbstractModelMethod",
    "AbstractPolicy",
    "Allowance",
    "Between",
    "Budget",
    "Cell",
    "ContractError",
    "Fit",
    "Grid",
    "Leaderboard",
    "RecordError",
    "Reference",
    "References",
    "RunRecord",
    "Suite",
    "Trajectory",
    "Usage",
    "UsageError",
    "build_leaderboard",
    "complete_references",
    "load_suite",
    "lookup_reference",
    "make_method",
    "make_task",
    "open_loop",
    "read_records",
    "rollout",
    "run_cells",
    "run_checks",
    "settings_of",
    "suite_names",
]


def __getattr__(name: str) -> Any:
    """The public object of that name; its module is loaded on first use (PEP 562)."""
    if name not in PUBLIC:
        raise AttributeError(f"module 'bench' has no attribute '{name}'")
    module, _, attribute = PUBLIC[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
