"""What is shown: entries of the command line, and the documentation of all ops, made from the registry."""
