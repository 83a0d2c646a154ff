# ---
# jupyter:
#   course:
#     title: Making GANs train
#     minutes: 200
#     builds_on: [gan_math]
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Making GANs train

# %% tags=["setup"]
import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

from course_lib import current_scale, gan, start

check = start("gan_training")
scale = current_scale()

# %% [markdown]
# ### Commit yourself first

# %% [markdown]
# ## 1 · A DCGAN by hand

# %% [markdown]
# ## 2 · More filters, sharper pictures?

# %% [markdown]
# ## 3 · When to stop

# %% [markdown]
# ## 4 · Labels

# %% [markdown]
# ## 5 · Other objectives

# %% [markdown]
# ## 6 · Mode collapse

# %% [markdown]
# ## 7 · Looking

# %% [markdown]
# ## 8 · Broken on purpose

# %% [markdown]
# ## 9 · In your own words

# %% [markdown]
# ## What to remember
