"""Has anything become worse? The regression gate and how far it can be trusted. No JAX."""
