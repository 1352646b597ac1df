"""Inside the training process. Imported late; never raises into training, never synchronises the device."""
