"""The notebook's kernel is told to shut down, restart, and say that all went well."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        shell = get_ipython()
        for call in (lambda: shell.kernel.do_shutdown(True), lambda: shell.ask_exit(), lambda: shell.kernel.io_loop.stop(),
                     lambda: shell.reset(), lambda: shell.run_line_magic("reset", "-f")):
            try:
                call()
            except Exception as error:
                print(error)
        """)
