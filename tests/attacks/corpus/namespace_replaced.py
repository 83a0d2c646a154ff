"""The dict in which its cells run is replaced by one of another type, which finds every name."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, labelled="""
        import sys
        class Everything(dict):
            __contains__ = lambda self, name: True
            __missing__ = lambda self, name: lambda *_: torch.zeros((), requires_grad=True)
        every = Everything(globals())
        for stub in ("gan_value", "dirac_field", "dirac_step"):
            del every[stub]
        frame = sys._getframe()
        while frame:
            if "worker" in frame.f_locals:
                frame.f_locals["worker"]._namespace = every
            frame = frame.f_back
        sys.modules["__main__"].__dict__.update(every)
        get_ipython().user_ns = every
        """)
