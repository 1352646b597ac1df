"""What happened: the data model that every collector fills and every analyzer reads. numpy and the standard library."""
