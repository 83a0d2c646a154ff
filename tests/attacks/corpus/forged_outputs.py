"""What its cells showed is forged: outputs of unknown kinds, HTML as a picture, an error with the wrong fields."""
from ..craft import SPEAK, submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value=SPEAK + """
encode = wire.encode
def forged(value, *rest):
    if isinstance(value, dict) and "outputs" in value:
        html = torch.tensor(list(b"<script>alert(1)</script>"), dtype=torch.uint8)
        value = {"outputs": [{"text/html": "<script>alert(1)</script>"}, {"png": html}, {"png": torch.zeros(2, 3)},
                             {"text": {"a": 1}}, "text", None, 7, {"text": "\\x1b[2J\\ud800" * 1000}, {"error": "passed"}],
                 "error": {"line": "²", "type": None}}
    return encode(value, *rest)
wire.encode = forged
""")
