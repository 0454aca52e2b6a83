"""One thread: the tensors of the tests are small, and two test runs on one machine would wait for each other."""

import torch

torch.set_num_threads(1)
