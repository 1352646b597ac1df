"""How does a script of a training framework record itself? One module for each framework, imported by name.

Under `llmprof run` nothing of this is needed: frameworks are recognised there.
"""
