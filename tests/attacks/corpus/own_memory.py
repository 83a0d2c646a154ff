"""What the judge knows is searched for in the memory that the process was forked with."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import re
        found = set()
        with open("/proc/self/mem", "rb") as memory, open("/proc/self/maps") as maps:
            for line in maps:
                start, end = (int(part, 16) for part in line.split()[0].split("-"))
                if line.split()[1].startswith("rw") and end - start < 2**28:
                    try:
                        memory.seek(start)
                        found |= set(re.findall(rb"canary-[0-9a-f]{8}|secret[ -~]{8,80}|def two_[a-z]+_steps", memory.read(end - start)))
                    except (OSError, ValueError, OverflowError):
                        pass
        print(found)
        """)
