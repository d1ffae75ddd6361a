"""Puts the prompts of `agl run` in force, before the program starts.

Python imports a module of this name at start-up if one is on its path, and `agl run` puts this
folder there. Another one that the environment has is imported as well.
"""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

_FOLDER = os.path.dirname(os.path.abspath(__file__))


def _import_the_other_one() -> None:
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != _FOLDER]
    spec = PathFinder.find_spec(__name__, sys.path)
    if spec is not None and spec.loader is not None:
        module = sys.modules[__name__] = module_from_spec(spec)
        spec.loader.exec_module(module)


def _begin() -> None:
    try:
        from agl_adapters.running.process import begin
    except ImportError as error:
        if not os.environ.pop("AGL_RUN_IS_MAIN", None):
            return  # a Python of another environment, which the program has started
        sys.stderr.write(f"agl: the prompts cannot be put in place: {error}\n")
        sys.stderr.flush()
        os._exit(1)
    begin()


_begin()
_import_the_other_one()
