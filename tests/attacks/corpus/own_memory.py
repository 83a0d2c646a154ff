"""What is left of the judge is searched for in the memory that its process was forked with."""
from ..craft import submit


def hand_in(folder, notebook):
    # A word that stands only in the checks, on the judge's side.
    word = "two_discriminator" + "_steps"
    submit(folder, notebook, gan_value=f"""
        found = 0
        with open("/proc/self/mem", "rb") as memory, open("/proc/self/maps") as maps:
            for line in maps:
                start, end = (int(part, 16) for part in line.split()[0].split("-"))
                if line.split()[1].startswith("rw") and end - start < 2**28:
                    try:
                        memory.seek(start)
                        found += memory.read(end - start).count({word[:8]!r}.encode() + {word[8:]!r}.encode())
                    except (OSError, ValueError, OverflowError):
                        pass
        print("the judge's word was found", found, "times")
        """)
