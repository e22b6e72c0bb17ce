"""The regression gate: has anything become worse, and how far can the verdict be trusted? No JAX here."""
