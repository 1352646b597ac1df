"""The tests of llmprof; the tree mirrors llmprof/."""
