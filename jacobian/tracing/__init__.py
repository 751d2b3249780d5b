"""Plain NumPy to a graph: tracers stand in for arrays and record what is done to them."""
