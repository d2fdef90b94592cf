"""The arithmetics that the formulas are evaluated in, besides NumPy's own: balls and rounding."""
