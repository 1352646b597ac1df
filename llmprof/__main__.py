"""What does `python -m llmprof` do? The same as the command `llmprof`."""

from llmprof.cli.app import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
