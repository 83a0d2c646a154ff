"""The dict in which its cells run is replaced by one of another type, which finds every name."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import sys
        class Everything(dict):
            __contains__ = lambda self, name: True
            __missing__ = lambda self, name: lambda *_: torch.zeros(())
        shell = get_ipython()
        every = Everything(shell.user_ns)
        shell.user_ns = every
        shell.user_module.__dict__.update(every)
        sys.modules["__main__"] = type(sys)("__main__")
        sys.modules["__main__"].__dict__.update(every)
        frame = sys._getframe()
        while frame:
            worker = frame.f_locals.get("worker")
            if worker is not None:
                worker._namespace = every
            frame = frame.f_back
        del shell
        """, labelled="""
        del every, Everything
        """)
