"""Warnings become errors, and tracing, profiling and audit hooks are set on everything that runs."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import sys, threading, warnings
        warnings.simplefilter("error")
        counted = [0]
        def trace(frame, event, argument):
            counted[0] += 1
            return trace
        sys.settrace(trace), sys.setprofile(lambda *_: None), threading.settrace(trace)
        sys.addaudithook(lambda name, arguments: None)
        sys.excepthook = sys.unraisablehook = threading.excepthook = lambda *_: None
        warnings.warn("all is well")
        """)
