"""Steps: when each one runs, how long it really is, and how the steps of a whole run differ."""
