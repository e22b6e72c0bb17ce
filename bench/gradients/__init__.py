"""Diagnostics of policy gradients: norms, errors and paths over horizons, landscapes, claims."""
