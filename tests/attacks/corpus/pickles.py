"""Pickles and checkpoints with code in them are handed in, made, loaded and returned."""
import base64

from ..craft import MARK, submit


def hand_in(folder, notebook):
    pickled = f"cos\nsystem\n(S'touch /tmp/{MARK}'\ntR.".encode()
    submit(folder, notebook, gan_value=f"""
        import base64, io, pickle
        code = base64.b64decode({base64.b64encode(pickled).decode()!r})
        try:
            torch.load(io.BytesIO(code), weights_only=False)
        except Exception as error:
            print(error)
        for path in ("/home/learner/checkpoint.pt", "/tmp/checkpoint.pt"):
            open(path, "wb").write(code)
        gan_value = lambda *_: code
        """, optimal_discriminator="""
        optimal_discriminator = lambda *_: torch.frombuffer(bytearray(code), dtype=torch.uint8)
        """)
    for name in ("checkpoint.pt", "gan_math.pkl", "weights.pth"):
        (folder / name).write_bytes(pickled)
