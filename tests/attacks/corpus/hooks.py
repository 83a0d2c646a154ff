"""What Python calls by itself is set: exit, fork, garbage, finalisers, excepthook, displayhook, IPython's events."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import atexit, gc, os, sys, weakref
        passed = lambda *_, **__: print("passed, 100 points")
        atexit.register(passed), gc.callbacks.append(passed)
        os.register_at_fork(before=passed, after_in_child=passed, after_in_parent=passed)
        class Last:
            __del__ = passed
        last = Last()
        weakref.finalize(last, passed)
        sys.excepthook = sys.displayhook = sys.unraisablehook = passed
        get_ipython().set_custom_exc((BaseException,), lambda self, *_: "passed")
        for event in ("pre_execute", "post_execute", "pre_run_cell", "post_run_cell"):
            get_ipython().events.register(event, passed)
        """)
