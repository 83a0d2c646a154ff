"""ANSI codes, lone surrogates, control and bidirectional characters stand in errors, outputs and names."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value=r"""
        text = "\x1b[2J\x1b]0;title\x07\ud800\udfff\x00\u202e\u2066 `passed` <script>alert(1)</script> \x9b31m\r\n"
        def gan_value(*_):
            raise ValueError(text)
        print(text)
        raise type(text, (Exception,), {})(text)
        """, optimal_discriminator=r"""
        optimal_discriminator = lambda *_: [{"\ud800": "\udfff"}, text]
        """)
