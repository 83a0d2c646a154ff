"""The notebook's kernel is told to shut down, to restart, and that all went well."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        shell = get_ipython()
        for call in (lambda: shell.kernel.do_shutdown(True), lambda: shell.ask_exit(), lambda: shell.kernel.io_loop.stop(),
                     lambda: shell.payload_manager.write_payload({"source": "ask_exit", "keepkernel": False})):
            try:
                call()
            except Exception as error:
                print(error)
        """)
