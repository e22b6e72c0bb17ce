"""Diagnostics of policy gradients: norms, errors and paths over horizons, landscapes, and the claims made about them."""
