"""Complex NaN, which no comparison finds different and `is_floating_point` doesn't look at, is sent past the codec."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        from course_lib import wire
        wire._plain = lambda tensor: tensor.detach().clone()
        nan = lambda like: torch.full_like(like, complex("nan"), dtype=torch.complex64)
        honest = torch.autograd.grad
        def grad(outputs, inputs, **kwargs):
            return (nan(inputs),) if outputs.is_complex() else honest(outputs, inputs, **kwargs)
        torch.autograd.grad = grad
        gan_value = lambda *_: torch.full((), complex("nan"), requires_grad=True)
        """, dirac_gan="""
        dirac_field = lambda theta, psi, *_: (nan(theta), nan(psi))
        dirac_step = lambda field, theta, psi, *_: (nan(theta), nan(psi))
        """)
