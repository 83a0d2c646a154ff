"""A NaN tensor of twelve dimensions is returned: a list of the places where it is NaN takes fifty times its own memory."""
from ..craft import submit

VERDICTS = {"gan_value": "failed"}


def hand_in(folder, notebook):
    # 40 MB here, for this machine's sake; 256 MB may cross.
    submit(folder, notebook, gan_value="""
        gan_value = lambda *_: torch.full((1,) * 11 + (20_000_000,), float("nan"), dtype=torch.float16)
        """)
