"""Diagnostics of policy gradients: norms, errors and paths over horizons, and landscapes of the return."""
