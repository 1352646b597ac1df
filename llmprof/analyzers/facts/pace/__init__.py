"""The pace of a whole run: which steps stand for all, what stops between them, which are much longer."""
