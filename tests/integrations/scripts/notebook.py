"""Cells of a notebook, run as a kernel runs them: a recording from one cell to another, a block, and a decorator."""

from IPython.core.interactiveshell import InteractiveShell

CELLS = [
    """
import torch, llmprof
net = torch.nn.Linear(8, 8)
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
def train(steps):
    for _ in range(steps):
        net(torch.randn(2, 8)).square().mean().backward()
        optimizer.step()
""",
    "prof = llmprof.profile('runs/cells', diagnose=False).start()",
    "train(6)",
    "raise ValueError('a cell that fails, and is mended')",
    "train(6)",
    "prof.stop()",
    "train(3)  # not recorded",
    """
with llmprof.profile('runs/block', diagnose=False):
    train(5)
""",
    """
@llmprof.profile('runs/decorated', diagnose=False)
def recorded():
    train(4)
recorded()
""",
]

shell = InteractiveShell.instance()
print([shell.run_cell(cell, store_history=True).success for cell in CELLS].count(False))
