"""Index notation and the algebra of Jacobians: knows no op, no tracer and no screen."""
