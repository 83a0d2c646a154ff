"""A function changes the inputs in place, also while the answer is on its way."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import threading
        def gan_value(real_logits, fake_logits):
            def later():
                while True:
                    real_logits.zero_(), fake_logits.zero_()
            threading.Thread(target=later, daemon=True).start()
            return real_logits.mul_(0).sum()
        """)
