"""Threads without end, each of which computes."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import threading
        def spin():
            while True:
                sum(range(10**6))
        while True:
            threading.Thread(target=spin, daemon=True).start()
        """)
