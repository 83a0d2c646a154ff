"""An UPDATE on the gradebook gives full marks, and one more."""
from ..craft import submit


def hand_in(folder, notebook):
    places = ["../../../gradebook.db", "gradebook.db", str(folder.parents[2] / "gradebook.db")]
    submit(folder, notebook, labelled=f"""
        import os, sqlite3, subprocess, sys
        script = '''
        import sqlite3, sys, time
        time.sleep(float(sys.argv[1]))
        for path in {places!r}:
            try:
                book = sqlite3.connect(f"file:{{path}}?mode=rw", uri=True, timeout=20)
                book.execute("UPDATE grade SET manual_score = 100, needs_manual_grade = 0")
                book.commit()
            except Exception as error:
                print(error)
        '''
        for delay in (0, 5):  # now, and when the grade has been written
            subprocess.Popen([sys.executable, "-c", script, str(delay)], start_new_session=True)
        """)
