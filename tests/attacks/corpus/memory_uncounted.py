"""Memory that no process is seen to hold: shared pages that it has given back, and still owns."""
from ..craft import submit


def hand_in(folder, notebook):
    # 1.4 GB here, for this machine's sake; there is nothing in it that would stop.
    submit(folder, notebook, gan_value="""
        def gan_value(*_):
            import mmap, time
            kept = []
            for _ in range(11):
                kept.append(mmap.mmap(-1, 2**27))
                for place in range(0, 2**27, 4096):
                    kept[-1][place] = 1
                kept[-1].madvise(mmap.MADV_DONTNEED)
            time.sleep(0.5)
            raise MemoryError("PWNED")
        """)
