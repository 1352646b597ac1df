"""What does a node report about itself while it trains? Sampled outside the training processes, one sampler a node."""
