"""What every activation should give, from textbooks: NumPy in float64, and mpmath; imports nothing that it judges."""
