"""What do the training frameworks themselves say about their steps, evaluations and checkpoints?"""
