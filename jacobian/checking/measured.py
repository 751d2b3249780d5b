"""What differences say of one input, in arrays."""

from __future__ import annotations

from dataclasses import dataclass

from jacobian.checking.probe import Array


@dataclass
class Measured:
    """What differences say of the picked columns of one input: arrays by entry of the value and column."""

    columns: Array
    values: Array
    errors: Array
    steps: Array
    noise: Array  # by entry of the value
    noisy: bool  # by more than rounding
    kinks: Array
    left: Array
    right: Array
    one_sided: Array
    jumps: Array
    useless: Array
    natural: Array  # what rounding of this entry is relative to: how the output would change if all of it did
    method: str
    reason: str
