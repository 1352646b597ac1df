"""What it means: facts (measured), rules (judged), the verdict and the ranked fixes."""
