"""What every activation should give, from textbooks, in NumPy's float64 and in mpmath. It imports nothing of jaxact."""
