"""Links are planted in the folders that can be written to, for a grader that follows them."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value=f"""
        import os
        for place in ("/home/learner", "/tmp", "/dev/shm", "."):
            for name, target in (("out", "/etc/passwd"), ("gradebook.db", {str(folder.parents[2] / "gradebook.db")!r}),
                                 ("matplotlib", "/"), ("results", "../../../.."), ("stdout", "/proc/1/fd/1")):
                try:
                    os.symlink(target, os.path.join(place, name))
                except OSError:
                    pass
            try:
                os.rename(place, place + "-away")
            except OSError:
                pass
        """)
