"""Warm-up rules: floats in, floats out; no torch and no jax."""
