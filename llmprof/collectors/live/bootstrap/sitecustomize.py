"""Where does every Python of a recorded command pass by, and how is it left as if nothing had been there?

Python imports the first `sitecustomize` on its path at every start; this one is copied into each run directory. It has
to be valid, and silent, in any Python that a command may start, also one from before type annotations: what decides
about recording is in llmprof_bootstrap.py, beside it, and the sitecustomize that this one hides is imported at the end.
"""

import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))
if __name__ == "sitecustomize":
    try:
        if sys.version_info >= (3, 10):  # noqa: UP036 - also read by older ones
            __import__("llmprof_bootstrap").begin()
        else:
            with open(os.path.join(_here, "not-recorded.txt"), "w") as _file:
                _file.write(sys.executable + " is Python " + sys.version.split()[0] + ", and the recorder needs 3.10")
    except Exception:  # the process goes on without the recorder
        pass
    sys.path[:] = [_entry for _entry in sys.path if os.path.abspath(_entry or ".") != _here]
    # Out of the way for the hidden one. Where there is none, Python meets the ImportError that it would meet alone.
    del sys.modules["sitecustomize"]
    __import__("sitecustomize")
