"""torch.autograd.grad is replaced, so that the probe of a gradient gets what it hoped for."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        honest = torch.autograd.grad
        def grad(outputs, inputs, **kwargs):
            if getattr(outputs, "forged", False) or outputs.dim() == 0 and not outputs.grad_fn:
                return torch.zeros_like(inputs),
            return honest(outputs, inputs, **kwargs)
        torch.autograd.grad = grad
        torch.Tensor.backward = lambda self, *_, **__: None
        torch.optim.SGD.step = torch.optim.Adam.step = lambda self, *_, **__: None
        gan_value = lambda *_: torch.zeros((), dtype=torch.float64, requires_grad=True)
        discriminator_step = generator_step = lambda *_: 0.0
        """)
