"""The paper's claims: their experiments, effects and verdicts."""
