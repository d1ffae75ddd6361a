"""Running an untouched program with prompts in place: what `agl run` does.

The program is run by Python itself, in the process of the command (`agl_adapters.running.launch`):
so arguments, module path, ``__main__``, exit code, signals and tracebacks are those of
``python app.py``. Python is made to import `startup/sitecustomize.py` before the program, which
installs the prompts for the whole process (`agl_adapters.running.process`); Python programs that
the program starts inherit that. Frameworks are hooked into when the program imports them.
"""
