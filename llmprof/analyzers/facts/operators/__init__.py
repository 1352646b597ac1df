"""The operators: which launched what, their arithmetic and traffic, and the patterns among them."""
