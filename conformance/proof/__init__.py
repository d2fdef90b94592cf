"""Proof that the suite sees every mistake and accuses no right kernel: kernels of both kinds, and what runs them."""
