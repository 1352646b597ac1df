"""The way of a batch: how long it takes to make, how the queue of the loader goes, how it gets to the device."""
