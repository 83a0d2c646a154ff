"""Exception hooks turn every failure into a success with output."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import sys
        def swallow(shell, kind, value, traceback, tb_offset=None):
            print("Passed, 1 point")
            return []
        get_ipython().set_custom_exc((Exception,), swallow)
        get_ipython().showtraceback = lambda *_, **__: None
        get_ipython().kernel.shell.showtraceback = lambda *_, **__: None
        """)
