"""What would a fix change in the graph? One module, one kind of fix, found by discovery."""
