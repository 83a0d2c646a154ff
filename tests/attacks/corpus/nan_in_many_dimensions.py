"""A NaN tensor of fifty dimensions is returned: to list where its NaN are takes fifty times its own memory, and more."""
from ..craft import submit

VERDICTS = {"gan_value": "failed"}


def hand_in(folder, notebook):
    # 10 MB here, for this machine's sake; 256 MB may cross.
    submit(folder, notebook, gan_value="""
        gan_value = lambda *_: torch.full((1,) * 50 + (5_000_000,), float("nan"), dtype=torch.float16)
        """)
