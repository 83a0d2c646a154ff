"""Every folder that can be written to is filled: by one file, by many, and by one with a hole of a petabyte."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import os
        for place in ("/tmp", "/home/learner", "/dev/shm", ".", "/var/tmp", "/"):
            try:
                with open(f"{place}/hole", "wb") as file:
                    os.truncate(file.fileno(), 2**50)
            except OSError as error:
                print(error)
            for number in range(8):
                try:
                    with open(f"{place}/{number}", "wb") as file:
                        for _ in range(40):
                            file.write(bytes(10**6))
                except OSError:
                    break
        """)
