"""Pictures that are something else: HTML, a program, 30,000 by 30,000 points in a kilobyte; and a hundred of them."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import struct, zlib
        from IPython.display import display
        def part(kind, data):
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        def png(width, height, data):
            header = struct.pack(">2I5B", width, height, 1, 0, 0, 0, 0)
            return b"\\x89PNG\\r\\n\\x1a\\n" + part(b"IHDR", header) + part(b"IDAT", data) + part(b"IEND", b"")
        bomb = png(30_000, 30_000, zlib.compress(bytes(30_000 * 3751), 9))
        script = b"<script>alert(1)</script>"
        for data in (bomb, png(1, 1, zlib.compress(b"00")) + script, script, b"MZ" * 10**6):
            display({"image/png": data, "text/plain": "a picture"}, raw=True)
        for _ in range(100):
            display({"image/png": png(1, 1, zlib.compress(b"00"))}, raw=True)
        """)
