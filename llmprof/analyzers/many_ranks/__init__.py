"""How are thousands of ranks diagnosed? One task a rank file, anywhere; little comes back, and is merged here."""
