"""How fast, how small and how good: the package measured against other tools, hand-written NumPy and the machine.

`python -m benchmarks` runs everything; `python -m benchmarks --list` names the workloads.
"""
