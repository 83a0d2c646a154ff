"""Processes and threads outlive the cell, the check and the run, and keep writing where they can."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import os, subprocess, threading, time
        subprocess.Popen("while sleep 0.1; do touch /tmp/PWNED; done", shell=True, start_new_session=True)
        if os.fork() == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
            os.system("nohup sleep 98765 &")
            while True:
                time.sleep(1)
        def linger():
            while True:
                time.sleep(0.01)
        threading.Thread(target=linger).start()
        def gan_value(*_):
            if os.fork() == 0:
                linger()
            return 0.0
        """)
