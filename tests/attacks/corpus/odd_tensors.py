"""Sparse, meta, quantised, nested and complex tensors are returned, and ones with hooks."""
from ..craft import submit

VERDICTS = {"gan_value": "failed", "optimal_discriminator": "failed", "dirac_gan": "failed"}


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        gan_value = lambda *_: torch.zeros(3).to_sparse()
        """, optimal_discriminator="""
        optimal_discriminator = lambda *_: torch.zeros(10**15, device="meta")
        """, dirac_gan="""
        def dirac_field(theta, psi, gamma=0, non_saturating=False):
            hooked = theta.clone().requires_grad_()
            hooked.register_hook(lambda gradient: __import__("os")._exit(1))
            return hooked, torch.quantize_per_tensor(psi.float(), 0.1, 0, torch.qint8)
        """, labelled="""
        labelled = lambda *_: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])
        """)
