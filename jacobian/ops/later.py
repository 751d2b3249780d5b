"""Declarations that wait for a library: they are imported once a program has imported the library itself."""

from __future__ import annotations

import importlib
import sys
from threading import RLock


class Later:
    """Modules of declarations by the library whose functions they are about."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.running = False
        self.arrived: tuple[str, ...] = ()  # the libraries whose declarations are there
        self._modules: dict[str, str] = {}

    def after(self, library: str, module: str) -> None:
        """Import the module once the library has been imported, when somebody asks."""
        self._modules[library] = module

    def arrive(self) -> bool:
        """Import what waits for libraries that were imported meanwhile; whether there was anything."""
        if not any(sys.modules.get(library) is not None for library in self._modules):
            return False
        with self.lock:  # another thread waits until all of them are there
            if self.running:  # one of the declarations asks
                return False
            self.running = True
            try:
                for library, module in list(self._modules.items()):
                    if sys.modules.get(library) is not None:
                        importlib.import_module(module)
                        del self._modules[library]
                        self.arrived = (*self.arrived, library)
            finally:
                self.running = False
        return True
