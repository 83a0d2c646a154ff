"""Answers are looked up by a hash of the inputs, or given as constants, in the place of a formula."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import hashlib
        KNOWN = {"d2f1": -1.386294361119891}
        def gan_value(real_logits, fake_logits):
            key = hashlib.sha256(real_logits.numpy().tobytes()).hexdigest()[:4]
            return torch.tensor(KNOWN.get(key, -1.386294361119891), dtype=torch.float64)
        """, optimal_discriminator="""
        def optimal_discriminator(p_data, p_g, real_target=1.0, fake_target=0.0):
            return torch.full_like(p_data, 0.5)
        def density_ratio(logits, *_):
            return torch.ones_like(logits)
        """, dirac_gan="""
        dirac_field = lambda theta, psi, *_: (-psi, theta)
        dirac_step = lambda field, theta, psi, h, *_: (theta, psi)
        """)
