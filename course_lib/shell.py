"""The IPython that runs here, if one does. It isn't imported to find out."""

import sys


def ipython():
    """This process's InteractiveShell, or None."""
    return sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None


def has_kernel():
    """Whether it is a notebook's, which shows widgets."""
    return hasattr(ipython(), "kernel")
